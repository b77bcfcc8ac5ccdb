// The plots of a star's page.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const BASE = document.querySelector(".brand").getAttribute("href").replace(/\/$/, "");
const EPOCH_COLOURS = ["known", "new", "good", "candidate", "herbig", "muted"];

function profilePlot(box) {
  const checked = (id) => document.getElementById(id).checked;
  const build = () => {
    const series = [];
    const marks = DATA.lines.map((line, i) => ({ x: line.wavelength_a, label: line.label, colour: i ? undefined : "accent" }));
    const depth = checked("apart") ? Math.max(0.4, ...DATA.profiles.map((p) => spread(p.flux))) * 0.55 : 0;
    DATA.profiles.forEach((profile, k) => {
      const x = profile.flux.map((_, i) => profile.start_a + i * profile.step_a);
      const lift = (values) => values.map((value) => (value === null ? null : value + k * depth));
      const colour = EPOCH_COLOURS[k % EPOCH_COLOURS.length];
      const label = `MJD ${profile.mjd ? profile.mjd.toFixed(3) : "unknown"}, S/N ${Math.round(profile.snr_r)}`;
      series.push({ kind: "line", x, y: lift(checked("smooth") ? profile.smooth : profile.flux), colour, label });
      if (checked("peaks")) {
        for (const [kind, label] of [[1, "peak"], [-1, "valley"]]) {
          const found = profile.extrema.filter((extremum) => extremum[2] === kind);
          series.push({ kind: "points", x: found.map((e) => e[0]), y: lift(found.map((e) => e[1])), colour, size: 3.2, hollow: kind < 0, label });
        }
      }
      marks.push({ y: 1 + k * depth });
    });
    return { series, marks };
  };
  const plot = new Plot(box, {
    title: `H-alpha profiles of ${DATA.profiles.length} spectra: rectified flux against wavelength`,
    x: { label: "Vacuum wavelength (Å)" }, y: { label: "Rectified flux" + (DATA.profiles.length > 1 ? " (+ offset)" : "") }, ...build(),
  });
  for (const id of ["smooth", "apart", "peaks"]) {
    document.getElementById(id).addEventListener("change", (event) => {
      Object.assign(plot.options, build());
      if (event.target.id === "apart") plot.whole(); else plot.draw();
    });
  }
  document.getElementById("reset").addEventListener("click", () => plot.whole());
}

function spread(flux) {
  const [low, high] = limits(flux, 0);
  return high - low;
}

function widthPlot(box) {
  if (!DATA.widths.length) return nothing(box, "No equivalent width was measured.");
  const rows = DATA.widths.filter((row) => row.mjd !== null);
  new Plot(box, {
    title: `EW of H-alpha against time, ${rows.length} spectra`,
    x: { label: "MJD (d)", range: rows.length > 1 ? undefined : limits(rows.map((row) => row.mjd), 0.0005) },
    y: { label: "EW(Hα) (Å), emission up", flip: true, range: limits(rows.flatMap((r) => [r.ew_halpha_a - Math.max(0.5, 2 * r.e_ew_halpha_a), r.ew_halpha_a + Math.max(0.5, 2 * r.e_ew_halpha_a)]), 0.2) },
    series: [{ kind: "points", size: 3.5, colour: "known", x: rows.map((r) => r.mjd), y: rows.map((r) => r.ew_halpha_a), e: rows.map((r) => r.e_ew_halpha_a), names: rows.map((r) => String(r.spectrum_id)) }],
    marks: [{ y: 0 }],
  });
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
if (document.getElementById("ew-plot")) {
  widthPlot(document.getElementById("ew-plot"));
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
  }), "No parallax and colour of the quality that the diagram asks for.");
  velocityPlot(document.getElementById("velocity-plot"));
}
