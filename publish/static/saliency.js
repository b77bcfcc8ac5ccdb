// What the classifier looked at: asked of the server when the reader comes to it, since it costs a third of a second there.
"use strict";

const TRIES = 4;

/** The parts of a curve where `keep(i)` holds, null elsewhere: a line with gaps. */
function parts(values, keep) {
  return values.map((value, i) => (keep(i) ? value : null));
}

async function ask(kind, spectrum) {
  for (let n = 0; n < TRIES; n++) {
    const answer = await fetch(`${BASE}/${kind}/${spectrum}.json`);
    if (answer.status !== 503) return answer.json();
    await new Promise((done) => setTimeout(done, 3000));
  }
  return { error: "The server is busy with other pictures; come back in a minute." };
}

async function drawSaliency(spectrum) {
  const words = document.getElementById("saliency-words");
  words.textContent = "The server is hiding one stretch after another…";
  const found = await ask("saliency", spectrum);
  if (which() !== spectrum) return; // another was chosen meanwhile
  words.textContent = found.error || `Probability of Be by ${found.classifier}: ${found.be_probability.toFixed(3)}. ${found.words}`;
  document.querySelector(".saliency").hidden = Boolean(found.error);
  if (found.error) return;
  const x = found.flux.map((_, i) => found.start_a + i * found.step_a);
  const clear = 0.3 * Math.max(...found.saliency.map(Math.abs));
  const range = [x[0] - 1, x[x.length - 1] + 1];
  new Plot(document.getElementById("saliency-profile"), {
    title: `Profile with the stretches that speak for and against Be. ${found.words}`,
    x: { label: "Vacuum wavelength (Å)", range }, y: { label: "Rectified flux" }, zoomX: true,
    series: [
      { kind: "line", colour: "muted", x, y: found.flux, label: "flux" },
      { kind: "line", colour: "new", width: 3, x, y: parts(found.flux, (i) => found.saliency[i] > clear), label: "speaks for Be", mute: true },
      { kind: "line", colour: "known", width: 3, dash: [6, 3], x, y: parts(found.flux, (i) => found.saliency[i] < -clear), label: "speaks against Be", mute: true },
    ],
  });
  new Plot(document.getElementById("saliency-curve"), {
    title: `Fall of the log odds of Be when a stretch is hidden. ${found.words}`,
    x: { label: "Vacuum wavelength (Å)", range }, y: { label: "Fall of log odds" }, zoomX: true,
    series: [{ kind: "area", colour: "new", below: "known", x, y: found.saliency, label: "fall" }],
    marks: [{ y: 0 }],
  });
  drawNearest(await ask("nearest", spectrum), x);
}

function drawNearest({ nearest, error }, x) {
  const list = document.getElementById("saliency-nearest");
  if (error) return nothing(list, error);
  list.replaceChildren(...nearest.map((example) => {
    const figure = document.createElement("figure");
    const box = document.createElement("div");
    const caption = document.createElement("figcaption");
    box.className = "plot small";
    caption.textContent = `${example.kind}, labelled ${example.label}; likeness ${example.likeness.toFixed(2)}`;
    figure.append(box, caption);
    return figure;
  }));
  nearest.forEach((example, k) => new Plot(list.children[k].firstChild, {
    title: `Simulated spectrum: ${list.children[k].lastChild.textContent}`,
    x: { label: "" }, y: { label: "" }, series: [{ kind: "line", colour: "ink", x, y: example.flux }],
  }));
  return undefined;
}

/** The spectrum that is chosen, or the only one. */
function which() {
  const choice = document.getElementById("saliency-which");
  return choice ? choice.value : String(DATA.profiles[0].spectrum_id);
}

if (document.querySelector(".saliency")) {
  document.getElementById("saliency-which")?.addEventListener("change", () => drawSaliency(which()));
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    drawSaliency(which());
  }, { rootMargin: "100px" }).observe(document.getElementById("saliency"));
}
