// The plot of throughput: an area over the last ten minutes, and marks where frames were sent again.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 180;
const LEFT = 8;
const TOP = 20;
const BOTTOM = 22;

function node(kind, attributes, text) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The next number that is easy to read, as is its half. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

/** Draws `points` into `place`, and returns what there is to see in words. */
export function draw(place, points, rate) {
  // As wide as it is shown, so that letters keep their shape.
  const width = place.clientWidth || WIDTH;
  const svg = node("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  const most = Math.max(0, ...points.map((point) => point.bytes));
  const top = roundUp(Math.max(most, 1e6));
  const x = (index) => LEFT + ((width - 2 * LEFT) * index) / Math.max(1, points.length - 1);
  const y = (bytes) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - bytes / top);
  for (const part of [0, 0.5, 1]) {
    const at = y(top * part);
    svg.append(node("line", { class: "grid", x1: LEFT, x2: width - LEFT, y1: at, y2: at }));
    if (part) svg.append(node("text", { x: LEFT, y: at - 4 }, rate(top * part)));
  }
  if (points.length) {
    const curve = points.map((point, index) => `${x(index).toFixed(1)},${y(point.bytes).toFixed(1)}`);
    const floor = y(0);
    svg.append(node("polygon", { class: "area", points: `${x(0)},${floor} ${curve.join(" ")} ${x(points.length - 1)},${floor}` }));
    svg.append(node("polyline", { class: "curve", points: curve.join(" ") }));
    points.forEach((point, index) => {
      if (point.retransmits) svg.append(node("rect", { class: "lost", x: x(index) - 1, y: floor, width: 2, height: 5 }));
    });
    const minutes = Math.round(points.length / 60);
    svg.append(node("text", { x: LEFT, y: HEIGHT - 4 }, minutes ? `${minutes} min ago` : `${points.length} s ago`));
    svg.append(node("text", { x: width - LEFT, y: HEIGHT - 4, "text-anchor": "end" }, "now"));
  }
  const now = points.length ? points[points.length - 1].bytes : 0;
  const again = points.reduce((sum, point) => sum + point.retransmits, 0);
  const words = `${rate(now)} now, ${rate(most)} at most; ${again} frames sent again (marked below)`;
  svg.setAttribute("aria-label", `Throughput: ${words}`);
  place.replaceChildren(svg);
  return words;
}
