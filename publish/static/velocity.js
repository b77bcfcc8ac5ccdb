// The histogram of peculiar velocities, on the page of a star and among the figures over all stars.
"use strict";

/** Histogram of peculiar velocities with the Maxwellian of the catalogue, and one star's in it. */
function histogram(box, all, mine) {
  const binSize = 4;
  const top = Math.max(60, mine || 0, ...all.x) * 1.03;
  const counts = new Array(Math.ceil(top / binSize)).fill(0);
  for (const value of all.x) counts[Math.floor(value / binSize)] += 1;
  const b = all.model ? all.model.maxwellian_b_km_s : null;
  const v = Array.from({ length: 200 }, (_, i) => (i / 199) * top);
  const curve = b ? v.map((s) => (all.x.length * binSize * 4 * s * s * Math.exp(-((s / b) ** 2))) / (Math.sqrt(Math.PI) * b ** 3)) : [];
  const marks = all.model ? [{ x: all.model.v_limit_km_s, label: `limit ${all.model.v_limit_km_s.toFixed(1)}` }] : [];
  if (mine) marks.push({ x: mine, label: `this star ${mine.toFixed(1)}`, colour: "accent" });
  new Plot(box, {
    title: "Histogram of peculiar tangential velocities with the Maxwellian and the runaway limit",
    x: { label: "V_Tp (km/s)", range: [0, top] }, y: { label: "Classical Be stars", range: [0, Math.max(1, ...counts, ...curve) * 1.12] },
    series: [
      { kind: "bars", colour: "known", x: counts.map((_, i) => i * binSize), y: counts, binSize },
      ...(b ? [{ kind: "line", colour: "ink", x: v, y: curve, label: `Maxwellian, b = ${b} km/s` }] : []),
    ],
    marks,
  });
}
