// The figures over all stars; what is brushed in one lights up in all.
"use strict";

const BASE = document.querySelector(".brand").getAttribute("href").replace(/\/$/, "");
const KINDS = ["other", "candidate", "herbig", "known", "new"]; // drawn in this order, the rarest on top
const LABELS = { new: "new classical Be", known: "known classical Be", herbig: "Herbig Ae/Be", candidate: "other candidates", other: "others" };
const SHOWN = 300; // an address of more stars is too long for some servers
const plots = [];
const names = new Map();
const kinds = new Map();

const AXES = {
  sky: () => ({ title: "Sky map in right ascension and declination", x: { label: "Right ascension (°)", range: [0, 360], flip: true }, y: { label: "Declination (°)", range: [-90, 90] } }),
  ew: (p) => ({
    title: "EW of Mg b against EW of H-alpha", x: { label: "EW(Hα) (Å)" }, y: { label: "EW(Mg b) (Å)" },
    marks: [{ x: p.ew_halpha_max_a, label: "limit" }, { y: p.ew_mgb_max_a, label: "limit" }],
  }),
  colours: (p) => ({
    title: "Dereddened infrared colours with the criteria for classical Be and Herbig Ae/Be stars",
    x: { label: "(H − K)₀ (mag)", range: [-0.4, 1.6] }, y: { label: "(K − W1)₀ (mag)", range: [-0.5, 2] },
    marks: [
      { x: [-9, p.cbe_hk_max_mag], y: [-9, p.cbe_kw1_max_mag], label: "classical Be", colour: "known" },
      { x: [p.herbig_hk_min_mag, 9], y: [p.herbig_kw1_min_mag, 9], label: "Herbig Ae/Be", colour: "herbig" },
    ],
  }),
  diagram: () => ({ title: "Gaia colour-magnitude diagram", x: { label: "(BP − RP)₀ (mag)" }, y: { label: "M_G (mag)", flip: true } }),
};

function seriesOf(data) {
  return KINDS.map((kind) => {
    const at = data.kind.flatMap((value, i) => (value === kind ? [i] : []));
    const take = (list) => at.map((i) => list[i]);
    return {
      kind: "points", colour: kind, size: kind === "other" ? 1.5 : 3, alpha: kind === "other" ? 0.45 : 0.9, x: take(data.x), y: take(data.y),
      ids: take(data.star_id), names: take(data.designation).map((name) => name || ""), links: take(data.star_id).map((id) => `${BASE}/star/${id}`),
    };
  });
}

/** Light up stars in all figures, list them, and lead to their rows. */
function choose(ids) {
  const chosen = new Set(ids);
  for (const plot of plots) {
    for (const series of plot.options.series) {
      if (series.ids) series.chosen = new Set(series.ids.flatMap((id, i) => (chosen.has(id) ? [i] : [])));
    }
    plot.draw();
  }
  const list = [...chosen].sort((a, b) => KINDS.indexOf(kinds.get(b)) - KINDS.indexOf(kinds.get(a))); // the rarest first
  const shown = list.slice(0, SHOWN);
  document.getElementById("chosen-count").textContent = list.length ? `${summary(list)}${list.length > SHOWN ? `; the first ${SHOWN} here` : ""}.` : "None yet.";
  document.getElementById("clear").disabled = !list.length;
  for (const link of document.querySelectorAll("#chosen-rows a")) link.href = `${link.dataset.rows}?star_id__in=${shown.join(",")}`;
  document.getElementById("chosen-rows").hidden = !list.length;
  document.getElementById("chosen").replaceChildren(...shown.map((id) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `${BASE}/star/${id}`;
    link.textContent = names.get(id) || id;
    item.append(link, kinds.get(id) === "other" ? "" : ` ${LABELS[kinds.get(id)]}`);
    return item;
  }));
}

/** How many stars of each kind. */
function summary(list) {
  const counts = KINDS.map((kind) => [list.filter((id) => kinds.get(id) === kind).length, LABELS[kind]]).reverse();
  const parts = counts.filter(([count]) => count).map(([count, label]) => `${count} ${label}`);
  return `${list.length} star${list.length === 1 ? "" : "s"}: ${parts.join(", ")}`;
}

async function figure(box) {
  const name = box.dataset.figure;
  const answer = await fetch(`${BASE}/explore/${name}.json`);
  if (!answer.ok) return nothing(box, "The server has no data for this figure: publish the catalogue again.");
  const data = await answer.json();
  if (!data.x.length) return nothing(box, "There is nothing to draw yet.");
  if (name === "velocity") return histogram(box, data, null);
  data.star_id.forEach((id, i) => { names.set(id, data.designation[i]); kinds.set(id, data.kind[i]); });
  const plot = new Plot(box, { ...AXES[name](data.parameters), series: seriesOf(data), onbrush: choose });
  plot.canvas.addEventListener("keydown", (event) => { // without a mouse: zoom to the stars, then choose what is in view
    if (event.key === "c") choose(plot.inside([plot.xr[0], plot.yr[0]], [plot.xr[1], plot.yr[1]]));
  });
  plots.push(plot);
  return undefined;
}

Promise.all([...document.querySelectorAll("[data-figure]")].map((box) => figure(box))).then(() => performance.mark("figures"));
document.getElementById("clear").addEventListener("click", () => choose([]));
