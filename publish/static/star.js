// The plots of a star's page.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const BASE = document.querySelector(".brand").getAttribute("href").replace(/\/$/, "");

/** The colours of some times, which may be null, by their place among all spectra: nights that follow each other are told apart, too. */
function coloursOfTimes(times) {
  const all = [...DATA.profiles, ...DATA.epochs].map((row) => row.mjd).filter((mjd) => mjd !== null);
  const order = [...new Set(all)].sort((a, b) => a - b);
  return times.map((mjd) => (mjd === null || order.length < 2 ? "known" : colourOfTime(order.indexOf(mjd) / (order.length - 1))));
}

function profilePlot(box) {
  const checked = (id) => document.getElementById(id).checked;
  const colours = coloursOfTimes(DATA.profiles.map((profile) => profile.mjd));
  const name = (profile) => `MJD ${profile.mjd ? profile.mjd.toFixed(3) : "unknown"}, S/N ${Math.round(profile.snr_r)}`;
  const marks = DATA.lines.map((line, i) => ({ x: line.wavelength_a, label: line.label, colour: i ? undefined : "accent" }));
  const values = (profile) => (checked("smooth") ? profile.smooth : profile.flux);
  const x = { label: "Vacuum wavelength (Å)" };
  const image = () => {
    const rows = DATA.profiles.map((profile) => ({ values: values(profile), from: profile.start_a, step: profile.step_a }));
    const ends = DATA.profiles.flatMap((p) => [p.start_a, p.start_a + (p.flux.length - 1) * p.step_a]);
    const reach = Math.max(0.1, ...DATA.profiles.map((p) => Math.max(...limits(p.flux, 0).map((flux) => Math.abs(flux - 1)))));
    const at = (row) => (DATA.profiles[row] && DATA.profiles[row].mjd ? DATA.profiles[row].mjd.toFixed(0) : "");
    return {
      x: { ...x, range: limits(ends, 0) }, y: { label: "Epochs (MJD)", range: [-0.5, rows.length - 0.5], format: at },
      series: [{ kind: "image", x: [], y: [], rows, centre: 1, reach, below: "known", above: "new", mute: true }], marks,
    };
  };
  const lines = () => {
    const series = [];
    const levels = [];
    const depth = checked("apart") ? Math.max(0.4, ...DATA.profiles.map((p) => spread(p.flux))) * 0.55 : 0;
    DATA.profiles.forEach((profile, k) => {
      const lift = (flux) => flux.map((value) => (value === null ? null : value + k * depth));
      series.push({ kind: "line", x: profile.flux.map((_, i) => profile.start_a + i * profile.step_a), y: lift(values(profile)), colour: colours[k], label: name(profile) });
      if (checked("peaks")) {
        for (const [kind, label] of [[1, "peak"], [-1, "valley"]]) {
          const found = profile.extrema.filter((extremum) => extremum[2] === kind);
          series.push({ kind: "points", x: found.map((e) => e[0]), y: lift(found.map((e) => e[1])), colour: colours[k], size: 3.2, hollow: kind < 0, label });
        }
      }
      levels.push({ y: 1 + k * depth });
    });
    return { x, y: { label: "Rectified flux" + (depth && DATA.profiles.length > 1 ? " (+ offset)" : "") }, series, marks: [...marks, ...levels] };
  };
  const build = () => (checked("dynamic") ? image() : lines());
  const plot = new Plot(box, { title: `H-alpha profiles of ${DATA.profiles.length} spectra: rectified flux against wavelength`, ...build() });
  for (const id of ["smooth", "apart", "peaks", "dynamic"]) {
    document.getElementById(id).addEventListener("change", () => {
      for (const other of ["apart", "peaks"]) document.getElementById(other).disabled = checked("dynamic");
      Object.assign(plot.options, build());
      if (id === "apart" || id === "dynamic") plot.whole(); else plot.draw();
    });
  }
  document.getElementById("reset").addEventListener("click", () => plot.whole());
}

function spread(flux) {
  const [low, high] = limits(flux, 0);
  return high - low;
}

async function amongOthers(id, figure, mine, options, missing) {
  const box = document.getElementById(id);
  if (mine.some((value) => value === null || value === undefined)) return nothing(box, missing);
  const answer = await fetch(`${BASE}/explore/${figure}.json`);
  const all = await answer.json();
  new Plot(box, {
    ...options(all.parameters || {}),
    series: [
      { kind: "points", colour: "other", size: 1.5, alpha: 0.5, x: all.x, y: all.y, mute: true },
      { kind: "points", colour: "accent", size: 6, x: [mine[0]], y: [mine[1]], label: "this star" },
    ],
  });
  return undefined;
}

async function velocityPlot(box) {
  if (DATA.v_tp_km_s === null || DATA.v_tp_km_s === undefined) return nothing(box, "No astrometry: no velocity.");
  const all = await (await fetch(`${BASE}/explore/velocity.json`)).json();
  return histogram(box, all, DATA.v_tp_km_s);
}

if (document.getElementById("profile-plot")) {
  profilePlot(document.getElementById("profile-plot"));
}
if (document.getElementById("colour-plot")) {
  amongOthers("colour-plot", "colours", [DATA.colours.hk0_mag, DATA.colours.kw10_mag], (p) => ({
    title: "Dereddened infrared colours of the star among all others",
    x: { label: "(H − K)₀ (mag)", range: [-0.4, Math.max(1.6, DATA.colours.hk0_mag + 0.1)] },
    y: { label: "(K − W1)₀ (mag)", range: [-0.5, Math.max(2, DATA.colours.kw10_mag + 0.1)] },
    marks: [
      { x: [-9, p.cbe_hk_max_mag], y: [-9, p.cbe_kw1_max_mag], label: "classical Be", colour: "known" },
      { x: [p.herbig_hk_min_mag, 9], y: [p.herbig_kw1_min_mag, 9], label: "Herbig Ae/Be", colour: "herbig" },
    ],
  }), "No infrared colours corrected for extinction.");
  const d = DATA.diagram;
  amongOthers("diagram-plot", "diagram", [d.bp_rp0_mag ?? d.bp_rp_mag, d.abs_g0_mag ?? d.abs_g_mag], () => ({
    title: "Colour and absolute magnitude of the star among all others",
    x: { label: d.bp_rp0_mag === null ? "BP − RP (mag)" : "(BP − RP)₀ (mag)" }, y: { label: "M_G (mag)", flip: true },
  }), "No parallax and colour of the quality that the diagram requires.");
  velocityPlot(document.getElementById("velocity-plot"));
}
