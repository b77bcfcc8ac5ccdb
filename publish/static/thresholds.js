// Sliders: count the selection afresh when one has moved.
"use strict";

const BASE = document.querySelector(".brand").getAttribute("href").replace(/\/$/, "");
const form = document.getElementById("sliders");
const which = document.getElementById("which");
const state = document.getElementById("state");
let waiting = null;
let asked = 0;

const boxes = [...form.querySelectorAll("input[type=number]")];
const sliderOf = (box) => document.getElementById(`p-${box.dataset.name}`);
const valueOf = (box) => (box.value === "" ? Number(box.dataset.default) : Number(box.value));

/** Boxes whose value is not the one in force: the box counts, for a slider stops at its ends. */
function changes() {
  return boxes.filter((box) => valueOf(box) !== Number(box.dataset.default));
}

/** The command that keeps the values. */
function command() {
  const moved = changes().map((box) => `${box.dataset.name}=${valueOf(box)}`);
  return `becat threshold ${moved.join(" ") || "NAME=VALUE"}`;
}

/** The address of the page with what was moved, so that it can be shared. */
function remember() {
  const query = new URLSearchParams(changes().map((box) => [box.dataset.name, valueOf(box)]));
  if (which.value !== which.options[0].value) query.set("list", which.value);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

/** What the address says: of a name that is not here, nothing. */
function recall() {
  const query = new URLSearchParams(location.search);
  for (const box of boxes) {
    const value = query.get(box.dataset.name);
    if (value !== null && value.trim() !== "" && Number.isFinite(Number(value))) set(box, Number(value));
  }
  if ([...which.options].some((option) => option.value === query.get("list"))) which.value = query.get("list");
}

function set(box, value) {
  box.value = value;
  sliderOf(box).value = value;
}

function label() {
  document.getElementById("keep").textContent = command();
  document.getElementById("copy").disabled = changes().length === 0;
  for (const box of boxes) box.closest(".slider").classList.toggle("moved", valueOf(box) !== Number(box.dataset.default));
}

async function recount() {
  const mine = ++asked;
  const query = new URLSearchParams(changes().map((box) => [box.dataset.name, valueOf(box)]));
  query.set("list", which.value);
  state.textContent = "Counting …";
  const answer = await fetch(`${BASE}/thresholds.json?${query}`);
  const result = await answer.json();
  if (mine !== asked) return; // a later question has been asked meanwhile
  if (!result.ok) { state.textContent = result.error; return; }
  const moved = changes().length;
  state.textContent = moved ? `Counted with ${moved} threshold${moved === 1 ? "" : "s"} moved.` : "These are the values in force.";
  document.getElementById("flow").textContent = result.n_enters + result.n_leaves
    ? `${result.n_enters.toLocaleString("en")} enter${result.n_enters === 1 ? "s" : ""}, ${result.n_leaves.toLocaleString("en")} leave${result.n_leaves === 1 ? "s" : ""}${result.n_enters + result.n_leaves > result.changed.length ? `; ${result.changed.length} of them here` : ""}.`
    : "None.";
  for (const step of result.funnel) {
    const row = document.querySelector(`#funnel tr[data-step="${step.step}"]`);
    const [spectra, stars, change] = row.querySelectorAll("td");
    const difference = step.stars - Number(row.dataset.stars);
    spectra.textContent = step.spectra.toLocaleString("en");
    stars.textContent = step.stars.toLocaleString("en");
    change.textContent = difference ? (difference > 0 ? `+${difference}` : `−${-difference}`) : "";
  }
  const rows = result.changed.map((star) => {
    const item = document.createElement("li");
    item.className = star.change;
    const link = document.createElement("a");
    link.href = `${BASE}/star/${star.star_id}`;
    link.textContent = star.designation || star.star_id;
    item.append(link, ` ${star.change}`);
    return item;
  });
  document.getElementById("changed").replaceChildren(...rows);
}

function later() {
  label();
  remember();
  clearTimeout(waiting);
  waiting = setTimeout(recount, 60); // a count takes the server some ten milliseconds
}

form.addEventListener("input", (event) => {
  const moved = event.target;
  if (moved.type === "range") document.getElementById(`n-${moved.name}`).value = Number(moved.value);
  else if (moved.value !== "") sliderOf(moved).value = moved.value;
  later();
});
form.addEventListener("reset", () => setTimeout(later));
form.addEventListener("submit", (event) => event.preventDefault());
which.addEventListener("change", later);
document.getElementById("copy").addEventListener("click", async (event) => {
  if (!navigator.clipboard) { // a page without https: the reader copies what is marked
    getSelection().selectAllChildren(document.getElementById("keep"));
    return;
  }
  await navigator.clipboard.writeText(command());
  event.target.textContent = "Copied";
  setTimeout(() => { event.target.textContent = "Copy the command"; }, 1500);
});
recall();
label();
if (changes().length || which.selectedIndex) later();
