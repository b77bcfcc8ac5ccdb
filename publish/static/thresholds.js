// Sliders: count the selection afresh when one has moved.
"use strict";

const BASE = document.querySelector(".brand").getAttribute("href").replace(/\/$/, "");
const form = document.getElementById("sliders");
const which = document.getElementById("which");
const state = document.getElementById("state");
let waiting = null;
let asked = 0;

function changes() {
  return [...form.querySelectorAll("input[type=range]")].filter((slider) => Number(slider.value) !== Number(slider.dataset.default));
}

/** The command that keeps the values to which the sliders were moved. */
function command() {
  const moved = changes().map((slider) => `${slider.name}=${Number(slider.value)}`);
  document.getElementById("keep").textContent = `becat threshold ${moved.join(" ") || "NAME=VALUE"}`;
}

function label() {
  command();
  for (const slider of form.querySelectorAll("input[type=range]")) {
    document.getElementById(`o-${slider.name}`).textContent = Number(slider.value);
    slider.closest(".slider").classList.toggle("moved", Number(slider.value) !== Number(slider.dataset.default));
  }
}

async function recount() {
  const mine = ++asked;
  const query = new URLSearchParams(changes().map((slider) => [slider.name, slider.value]));
  query.set("list", which.value);
  state.textContent = "Counting …";
  const answer = await fetch(`${BASE}/thresholds.json?${query}`);
  const result = await answer.json();
  if (mine !== asked) return; // a later question has been asked meanwhile
  if (!result.ok) { state.textContent = result.error; return; }
  const moved = changes().length;
  state.textContent = moved ? `Counted with ${moved} threshold${moved === 1 ? "" : "s"} moved.` : "These are the values in force.";
  document.getElementById("flow").textContent = result.n_enters + result.n_leaves
    ? `${result.n_enters.toLocaleString("en")} enter, ${result.n_leaves.toLocaleString("en")} leave${result.n_enters + result.n_leaves > result.changed.length ? `; ${result.changed.length} of them here` : ""}.`
    : "Nobody.";
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
  clearTimeout(waiting);
  waiting = setTimeout(recount, 60); // a count takes the server some ten milliseconds
}

form.addEventListener("input", later);
form.addEventListener("reset", () => setTimeout(later));
form.addEventListener("submit", (event) => event.preventDefault());
which.addEventListener("change", later);
