// A star in time: equivalent width, V/R and velocity of its epochs, and its light curves; against MJD, or folded with its period.
"use strict";

const BAND_COLOURS = ["known", "candidate", "herbig", "new"];
const VELOCITIES = [
  { column: "rv_release_km_s", colour: "muted", size: 2.2, label: "from the release" },
  { column: "rv_km_s", size: 3.5, label: "adopted" },
  { column: "rv_primary_km_s", colour: "known", size: 4.5, hollow: true, label: "primary" },
  { column: "rv_secondary_km_s", colour: "accent", size: 4.5, hollow: true, label: "secondary" },
];

/** Where times stand: themselves, or the phase of the period, each twice. */
function timeAxis(folded) {
  if (!folded) return { label: "MJD (d)", of: (series) => series };
  const { period_d: period, mjd_phase_zero: zero } = DATA.period;
  const phase = (mjd) => ((((mjd - (zero ?? 0)) / period) % 1) + 1) % 1;
  const twice = (values, second) => (values ? [...values, ...values.map(second || ((value) => value))] : values);
  return {
    label: `Phase, period ${Number(period.toPrecision(6))} d`, range: [0, 2],
    of: ({ x, y, e, names, colours, ...rest }) => {
      const first = x.map(phase);
      return { ...rest, x: twice(first, (value) => value + 1), y: twice(y), e: twice(e), names: twice(names), colours: twice(colours) };
    },
  };
}

/** The values of one column of the epochs that have it. */
function epochSeries(column, look) {
  const colours = coloursOfTimes(DATA.epochs.map((row) => row.mjd));
  const there = DATA.epochs.map((row, i) => ({ row, colour: colours[i] })).filter(({ row }) => row[column] !== null);
  return {
    kind: "points", x: there.map(({ row }) => row.mjd), y: there.map(({ row }) => row[column]), e: there.map(({ row }) => row[`e_${column}`]),
    names: there.map(({ row }) => look.label || String(row.spectrum_id)), colours: look.colour ? undefined : there.map(({ colour }) => colour), ...look,
  };
}

/** Limits that hold points with their errors. */
function limitsWithErrors(series) {
  return limits(series.flatMap(({ y, e }) => y.flatMap((value, i) => [value - ((e && e[i]) || 0), value + ((e && e[i]) || 0)])), 0.12);
}

/** One plot against time that can be folded; a list of series, of which the empty ones do not count. */
function timePlot(id, title, label, given, more = {}) {
  const box = document.getElementById(id);
  if (!box) return undefined;
  const series = given.filter(({ x }) => x.length);
  const build = (folded) => {
    const axis = timeAxis(folded);
    return { x: { label: axis.label, range: axis.range || more.range }, series: series.map(axis.of) };
  };
  const n = series.reduce((sum, { x }) => sum + x.length, 0);
  const plot = new Plot(box, {
    title: `${title}, ${n} measurements`, y: { label, flip: more.flip, range: limitsWithErrors(series) }, marks: more.marks, ...build(false),
  });
  return { plot, build };
}

/** The times that all plots of the epochs share. */
function sharedTimes() {
  return limits(DATA.epochs.map((row) => row.mjd), 0.04);
}

function epochPlots() {
  const range = sharedTimes();
  return [
    timePlot("ew-plot", "Equivalent width of H-alpha against time", "EW(Hα) (Å), emission up", [epochSeries("ew_halpha_a", { size: 3.5 })], { flip: true, range }),
    timePlot("vr-plot", "V/R against time", "V/R", [epochSeries("violet_red_ratio", { size: 3.5 })], { range, marks: [{ y: 1 }] }),
    timePlot("rv-plot", "Velocity against time", "Velocity (km/s)", VELOCITIES.map(({ column, ...look }) => epochSeries(column, look)), { range }),
  ];
}

function lightPlots() {
  return [["magnitude-plot", true, "Magnitude"], ["flux-plot", false, "Relative flux"]].map(([id, isMagnitude, label]) => {
    const names = [...new Set(DATA.light.map((curve) => curve.name))];
    const series = DATA.light.filter((curve) => curve.is_magnitude === isMagnitude).map((curve) => ({
      kind: "points", x: curve.mjd, y: curve.y, e: curve.mjd.length > 300 ? undefined : curve.e, size: curve.is_limit ? 2.6 : 1.6, hollow: curve.is_limit,
      colour: BAND_COLOURS[names.indexOf(curve.name) % BAND_COLOURS.length], label: curve.is_limit ? `${curve.name}, upper limits` : curve.name, alpha: 0.7,
    }));
    return timePlot(id, `Light curve, ${label.toLowerCase()} against time`, label, series, { flip: isMagnitude });
  });
}

const timePlots = [...epochPlots(), ...lightPlots()].filter(Boolean);
const fold = document.getElementById("fold");
if (fold) {
  const draw = () => timePlots.forEach(({ plot, build }) => { Object.assign(plot.options, build(fold.checked)); plot.whole(); });
  fold.addEventListener("change", draw);
  draw();
}
