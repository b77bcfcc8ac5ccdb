// A plot on a canvas: points, lines and bars with error bars, limits and boxes; zoom, hover, brushing, keyboard.
// Colours are CSS variables, so that light and dark follow the page.
"use strict";

const EDGE = { left: 64, right: 14, top: 12, bottom: 44 };

/** Round numbers between two limits, about `count` of them. */
function ticks(low, high, count) {
  const span = Math.abs(high - low);
  if (!(span > 0)) return [low];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.ceil(Math.min(low, high) / step) * step;
  const found = [];
  for (let value = first; value <= Math.max(low, high) + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

/** Limits of finite numbers with a margin. */
function limits(values, margin = 0.05) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const pad = (high - low || Math.abs(low) || 1) * margin;
  return [low - pad, high + pad];
}

/** The colour of a place among others in time: 0 is the first, blue, 1 the last, red; as legible on dark paper as on light. */
function colourOfTime(fraction) {
  return `hsl(${215 + 145 * fraction} 62% 54%)`;
}

class Plot {
  /**
   * @param {HTMLElement} box  Where to draw.
   * @param {object} options   title (for readers of the screen), x and y: {label, range, flip}, series: a list of
   *   {kind: "points" | "line" | "area" | "bars" | "image", x, y, e, colour, colours, size, names, links}, marks: a list of {x} | {y} | {x: [,], y: [,]}
   *   with label and colour; onbrush(indices) instead of zooming.
   */
  constructor(box, options) {
    this.box = box;
    this.options = options;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", options.title);
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    box.replaceChildren(this.canvas, this.tip);
    this.whole();
    new ResizeObserver(() => this.draw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
  }

  /** Show all data. */
  whole() {
    const all = (axis) => this.options.series.flatMap((series) => Array.from(series[axis]));
    this.xr = [...(this.options.x.range || limits(all("x")))];
    this.yr = [...(this.options.y.range || limits(all("y")))];
    if (this.options.x.flip) this.xr.reverse();
    if (this.options.y.flip) this.yr.reverse();
    this.draw();
  }

  colour(name) {
    return getComputedStyle(this.box).getPropertyValue(`--${name}`).trim() || name;
  }

  px(value) {
    return EDGE.left + ((value - this.xr[0]) / (this.xr[1] - this.xr[0])) * (this.width - EDGE.left - EDGE.right);
  }

  py(value) {
    return this.height - EDGE.bottom - ((value - this.yr[0]) / (this.yr[1] - this.yr[0])) * (this.height - EDGE.top - EDGE.bottom);
  }

  data(px, py) {
    return [
      this.xr[0] + ((px - EDGE.left) / (this.width - EDGE.left - EDGE.right)) * (this.xr[1] - this.xr[0]),
      this.yr[0] + ((this.height - EDGE.bottom - py) / (this.height - EDGE.top - EDGE.bottom)) * (this.yr[1] - this.yr[0]),
    ];
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.box.clientWidth;
    this.height = this.box.clientHeight;
    if (!this.width || !this.height) return;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12.5px system-ui, sans-serif";
    this.axes(pen);
    pen.save();
    pen.beginPath();
    pen.rect(EDGE.left, EDGE.top, this.width - EDGE.left - EDGE.right, this.height - EDGE.top - EDGE.bottom);
    pen.clip();
    (this.options.marks || []).filter((mark) => Array.isArray(mark.x)).forEach((mark) => this.mark(pen, mark));
    for (const series of this.options.series) this[series.kind](pen, series);
    this.taken = [];
    (this.options.marks || []).filter((mark) => !Array.isArray(mark.x)).forEach((mark) => this.mark(pen, mark));
    if (this.drag) this.rubber(pen);
    pen.restore();
  }

  axes(pen) {
    const { x, y } = this.options;
    const right = this.width - EDGE.right;
    const bottom = this.height - EDGE.bottom;
    pen.lineWidth = 1;
    pen.strokeStyle = this.colour("line");
    pen.fillStyle = this.colour("muted");
    pen.strokeRect(EDGE.left + 0.5, EDGE.top + 0.5, right - EDGE.left, bottom - EDGE.top);
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const value of ticks(...this.xr, Math.max(3, this.width / 95))) {
      const at = this.px(value);
      pen.beginPath(); pen.moveTo(at, bottom); pen.lineTo(at, bottom - 5); pen.stroke();
      const text = this.number(value);
      pen.fillText(text, Math.min(at, this.width - pen.measureText(text).width / 2), bottom + 6);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const value of ticks(...this.yr, Math.max(3, this.height / 65))) {
      const at = this.py(value);
      pen.beginPath(); pen.moveTo(EDGE.left, at); pen.lineTo(EDGE.left + 5, at); pen.stroke();
      pen.fillText(y.format ? y.format(value) : this.number(value), EDGE.left - 6, at);
    }
    pen.fillStyle = this.colour("ink");
    pen.textAlign = "center";
    pen.textBaseline = "bottom";
    pen.fillText(x.label, (EDGE.left + right) / 2, this.height - 4);
    pen.save();
    pen.translate(9, (EDGE.top + bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textBaseline = "middle";
    pen.fillText(y.label, 0, 0);
    pen.restore();
  }

  number(value) {
    return (value < 0 ? "\u2212" : "") + Math.abs(value).toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false });
  }

  points(pen, series) {
    const size = series.size || 2.2;
    pen.globalAlpha = series.alpha || 0.85;
    pen.fillStyle = pen.strokeStyle = this.colour(series.colour);
    for (let i = 0; i < series.x.length; i++) {
      if (series.y[i] === null || series.x[i] === null) continue;
      if (series.colours) pen.fillStyle = pen.strokeStyle = this.colour(series.colours[i]);
      const px = this.px(series.x[i]);
      const py = this.py(series.y[i]);
      if (series.e && series.e[i]) {
        pen.beginPath(); pen.moveTo(px, this.py(series.y[i] - series.e[i])); pen.lineTo(px, this.py(series.y[i] + series.e[i])); pen.stroke();
      }
      pen.beginPath(); pen.arc(px, py, series.chosen && series.chosen.has(i) ? size + 2 : size, 0, 2 * Math.PI);
      if (series.hollow) pen.stroke(); else pen.fill();
    }
    pen.globalAlpha = 1;
  }

  line(pen, series) {
    pen.strokeStyle = this.colour(series.colour);
    pen.lineWidth = series.width || 1.3;
    pen.setLineDash(series.dash || []);
    pen.beginPath();
    let down = false;
    for (let i = 0; i < series.x.length; i++) {
      if (series.y[i] === null || Number.isNaN(series.y[i])) { down = false; continue; }
      pen[down ? "lineTo" : "moveTo"](this.px(series.x[i]), this.py(series.y[i]));
      down = true;
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  /** Filled from zero: above in one colour, below in another. */
  area(pen, series) {
    for (const [sign, colour] of [[1, series.colour], [-1, series.below || series.colour]]) {
      pen.fillStyle = pen.strokeStyle = this.colour(colour);
      pen.beginPath();
      pen.moveTo(this.px(series.x[0]), this.py(0));
      series.x.forEach((x, i) => pen.lineTo(this.px(x), this.py(sign * Math.max(0, sign * series.y[i]))));
      pen.lineTo(this.px(series.x[series.x.length - 1]), this.py(0));
      pen.globalAlpha = 0.35;
      pen.fill();
      pen.globalAlpha = 1;
    }
    this.line(pen, { ...series, colour: "ink" });
  }

  bars(pen, series) {
    pen.fillStyle = this.colour(series.colour);
    pen.globalAlpha = 0.6;
    for (let i = 0; i < series.x.length; i++) {
      const left = this.px(series.x[i]);
      const right = this.px(series.x[i] + series.binSize);
      pen.fillRect(left + 0.5, this.py(series.y[i]), right - left - 1, this.py(0) - this.py(series.y[i]));
    }
    pen.globalAlpha = 1;
  }

  /** A row of pixels for each of `rows` ({values, from, step}), at y = 0, 1, ...: paper where a value is `centre`, and more colour with its distance. */
  image(pen, series) {
    const rgb = (name) => this.colour(name).match(/[0-9a-f]{2}/gi).map((byte) => parseInt(byte, 16));
    const [paper, below, above] = [rgb("paper"), rgb(series.below), rgb(series.above)];
    pen.imageSmoothingEnabled = false;
    series.rows.forEach((row, k) => {
      const strip = document.createElement("canvas");
      [strip.width, strip.height] = [row.values.length, 1];
      const ink = strip.getContext("2d");
      const image = ink.createImageData(row.values.length, 1);
      row.values.forEach((value, i) => {
        if (value === null) return;
        const far = Math.max(-1, Math.min(1, (value - series.centre) / series.reach));
        const end = far < 0 ? below : above;
        for (let c = 0; c < 3; c++) image.data[4 * i + c] = paper[c] + Math.abs(far) * (end[c] - paper[c]);
        image.data[4 * i + 3] = 255;
      });
      ink.putImageData(image, 0, 0);
      const [left, right] = [row.from - row.step / 2, row.from + (row.values.length - 0.5) * row.step].map((x) => this.px(x));
      const [top, bottom] = [this.py(k + 0.5), this.py(k - 0.5)];
      pen.drawImage(strip, left, top, right - left, bottom - top);
    });
  }

  mark(pen, mark) {
    pen.strokeStyle = pen.fillStyle = this.colour(mark.colour || "muted");
    if (Array.isArray(mark.x)) {
      const clampX = (value) => this.px(Math.max(Math.min(value, Math.max(...this.xr)), Math.min(...this.xr)));
      const clampY = (value) => this.py(Math.max(Math.min(value, Math.max(...this.yr)), Math.min(...this.yr)));
      const [left, right, top, bottom] = [clampX(mark.x[0]), clampX(mark.x[1]), clampY(mark.y[1]), clampY(mark.y[0])];
      pen.globalAlpha = 0.1; pen.fillRect(left, top, right - left, bottom - top);
      pen.globalAlpha = 0.7; pen.setLineDash([4, 3]); pen.strokeRect(left, top, right - left, bottom - top);
      pen.setLineDash([]); pen.globalAlpha = 1; pen.textAlign = "left"; pen.textBaseline = "top";
      pen.fillText(mark.label || "", Math.min(left, right) + 6, Math.min(top, bottom) + 5);
      return;
    }
    pen.setLineDash([4, 3]);
    pen.beginPath();
    if (mark.x !== undefined) {
      pen.moveTo(this.px(mark.x), EDGE.top); pen.lineTo(this.px(mark.x), this.height - EDGE.bottom);
      if (mark.label) this.markLabel(pen, mark.label, this.px(mark.x));
    } else {
      pen.moveTo(EDGE.left, this.py(mark.y)); pen.lineTo(this.width - EDGE.right, this.py(mark.y));
      pen.textAlign = "right"; pen.textBaseline = "bottom"; pen.fillText(mark.label || "", this.width - EDGE.right - 4, this.py(mark.y) - 2);
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  /** The name of an upright line: beside it, on the left where the right has no room, lower where another name stands. */
  markLabel(pen, text, px) {
    const width = pen.measureText(text).width;
    const right = px + 4 + width <= this.width - EDGE.right;
    const left = right ? px + 4 : px - 4 - width;
    let row = 0;
    const meets = (other) => other.row === row && left < other.right + 6 && other.left < left + width + 6;
    while (this.taken.some(meets)) row += 1;
    this.taken.push({ row, left, right: left + width });
    pen.textAlign = "left";
    pen.textBaseline = "top";
    pen.lineWidth = 4;
    pen.save();
    pen.setLineDash([]);
    pen.strokeStyle = this.colour("paper");
    pen.strokeText(text, left, EDGE.top + 4 + row * 17);
    pen.restore();
    pen.fillText(text, left, EDGE.top + 4 + row * 17);
    pen.lineWidth = 1;
  }

  rubber(pen) {
    const [x0, y0, x1, y1] = this.drag;
    pen.fillStyle = this.colour("link");
    pen.globalAlpha = 0.12; pen.fillRect(x0, y0, x1 - x0, y1 - y0); pen.globalAlpha = 1;
    pen.strokeStyle = this.colour("link"); pen.lineWidth = 1; pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }

  /** The point nearest to a place on the canvas, within 14 pixels (a line: at its wavelength). */
  nearest(px, py) {
    let best = null;
    let least = 14 ** 2;
    for (const series of this.options.series) {
      if (series.kind === "bars" || series.mute) continue;
      for (let i = 0; i < series.x.length; i++) {
        if (series.y[i] === null) continue;
        const distance = (this.px(series.x[i]) - px) ** 2 + (this.py(series.y[i]) - py) ** 2;
        if (distance < least) { least = distance; best = { series, i }; }
      }
    }
    return best;
  }

  show(found) {
    this.found = found;
    this.tip.hidden = !found;
    if (!found) return;
    const { series, i } = found;
    const name = series.names ? series.names[i] : series.label || "";
    this.tip.textContent = `${name ? `${name}: ` : ""}${Number(series.x[i].toPrecision(7))}, ${Number(series.y[i].toPrecision(4))}`;
    const left = Math.min(this.px(series.x[i]) + 10, this.width - this.tip.offsetWidth - 4);
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${Math.max(0, this.py(series.y[i]) - 30)}px`;
  }

  zoom(factor, cx = (this.xr[0] + this.xr[1]) / 2, cy = (this.yr[0] + this.yr[1]) / 2) {
    this.xr = this.xr.map((value) => cx + (value - cx) * factor);
    if (!this.options.zoomX) this.yr = this.yr.map((value) => cy + (value - cy) * factor);
    this.draw();
  }

  inside([x0, y0], [x1, y1]) {
    const between = (value, a, b) => value >= Math.min(a, b) && value <= Math.max(a, b);
    return this.options.series.filter((series) => series.ids).flatMap((series) =>
      series.ids.filter((_, i) => between(series.x[i], x0, x1) && between(series.y[i], y0, y1)));
  }

  listen() {
    const place = (event) => { const box = this.canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") return;
      const [x, y] = place(event);
      this.drag = [x, y, x, y];
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (this.drag) { this.drag[2] = x; this.drag[3] = y; this.draw(); } else this.show(this.nearest(x, y));
    });
    this.canvas.addEventListener("pointerleave", () => this.show(null));
    this.canvas.addEventListener("pointerup", (event) => {
      const [x, y] = place(event);
      const drag = this.drag;
      this.drag = null;
      if (drag && Math.hypot(drag[2] - drag[0], drag[3] - drag[1]) > 6) {
        const from = this.data(drag[0], drag[1]);
        const to = this.data(drag[2], drag[3]);
        if (this.options.onbrush) this.options.onbrush(this.inside(from, to));
        else this.zoomTo(from, to);
      } else {
        const found = this.nearest(x, y);
        if (event.pointerType === "touch") this.show(found);
        else if (found && found.series.links) location.href = found.series.links[found.i];
      }
      this.draw();
    });
    this.canvas.addEventListener("dblclick", () => this.whole());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  zoomTo([x0, y0], [x1, y1]) {
    const ordered = (a, b, range) => (range[0] <= range[1] ? [Math.min(a, b), Math.max(a, b)] : [Math.max(a, b), Math.min(a, b)]);
    this.xr = ordered(x0, x1, this.xr);
    if (!this.options.zoomX) this.yr = ordered(y0, y1, this.yr);
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) {
      const move = (range, n) => range.map((value) => value + n * 0.1 * (range[1] - range[0]));
      this.xr = move(this.xr, step[0]);
      this.yr = move(this.yr, step[1]);
      this.draw();
    } else if (event.key === "+" || event.key === "=") this.zoom(0.8);
    else if (event.key === "-") this.zoom(1.25);
    else if (event.key === "0" || event.key === "Escape") this.whole();
    else if (event.key === "Enter" && this.found && this.found.series.links) location.href = this.found.series.links[this.found.i];
    else return;
    event.preventDefault();
  }
}

/** Say in a plot's place that there is nothing to draw. */
function nothing(box, words) {
  const line = document.createElement("p");
  line.className = "empty";
  line.textContent = words;
  box.replaceChildren(line);
  box.style.height = "auto";
}
