// Draws what the server tells of. All text goes into text nodes and never into markup: names and
// files come from others.

import { draw } from "./plot.js";

const STATES = ["reading", "stalled", "waiting", "offered", "booted", "failed"];
const byId = (id) => document.getElementById(id);
const tiles = new Map();
const shown = new Set(STATES);
let points = [];
let last = null;

function element(kind, text, className) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Changes a text only if it has changed: a screen reader would read it again. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function bytes(count) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (count >= size) return `${(count / size).toFixed(count >= 100 * size ? 0 : 1)} ${unit}`;
  }
  return `${count} B`;
}

export function rate(perSecond) {
  const mega = perSecond / 1e6;
  return `${mega.toFixed(mega >= 100 ? 0 : 1)} MB/s`;
}

function seconds(count) {
  const whole = Math.ceil(count);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")} min`;
  return `${Math.round(whole / 3600)} h`;
}

function ago(time, now) {
  const since = Math.max(0, (Date.parse(now) - Date.parse(time)) / 1000);
  if (since < 2) return "just now";
  if (since < 60) return `${Math.round(since)} s ago`;
  return since < 5400 ? `${Math.round(since / 60)} min ago` : `${Math.round(since / 3600)} h ago`;
}

const short = (sum) => (sum ? sum.slice(0, 8) : "no image");

function makeTile() {
  const tile = element("li", undefined, "tile");
  const parts = {};
  const title = element("h3");
  parts.title = title;
  parts.address = element("div", "", "address");
  const row = (name, other) => {
    const line = element("div", undefined, "row");
    parts[name] = element("span");
    parts[other] = element("span");
    line.append(parts[name], parts[other]);
    return line;
  };
  parts.progress = element("progress");
  parts.progress.max = 100;
  const first = row("state", "percent");
  parts.image = element("div", "", "image");
  parts.seen = element("div");
  tile.append(title, parts.address, first, parts.progress,
    row("rate", "left"), parts.image, row("again", "boots"), parts.seen);
  parts.state.className = "state";
  return { tile, parts };
}

function drawTile({ tile, parts }, sled, now, severalLinks) {
  tile.className = `tile ${sled.state}`;
  const address = severalLinks ? [sled.link] : [];
  if (sled.name) address.push(sled.sled);
  say(parts.title, sled.name || sled.sled);
  say(parts.address, address.join(" "));
  say(parts.state, sled.state);
  const boots = sled.state === "reading" || sled.state === "stalled" || sled.state === "failed";
  const done = sled.state === "booted";
  const percent = done ? 100 : boots && sled.size ? Math.floor((sled.bytes * 100) / sled.size) : 0;
  say(parts.percent, done || boots ? `${percent}%` : "");
  parts.progress.value = percent;
  parts.progress.setAttribute("aria-label", `Progress of ${sled.name || sled.sled}`);
  say(parts.rate, sled.bytes_per_second ? rate(sled.bytes_per_second) : "");
  const left = sled.seconds_left === null ? "" : `${seconds(sled.seconds_left)} left`;
  say(parts.left, left || (sled.size ? bytes(sled.size) : ""));
  say(parts.image, sled.image_name || short(sled.image));
  parts.image.title = sled.image || "";
  const again = sled.retransmits_on_request + sled.retransmits_early;
  say(parts.again, done || boots ? `${again} sent again` : "");
  say(parts.seen, `seen ${ago(sled.last_seen, now)}`);
  const failures = sled.failures ? `, ${sled.failures} failed` : "";
  say(parts.boots, `${sled.boots} ${sled.boots === 1 ? "boot" : "boots"}${failures}`);
}

function isWanted(sled) {
  const wanted = byId("find").value.trim().toLowerCase();
  const text = [sled.name, sled.sled, sled.link, sled.image, sled.image_name].join(" ").toLowerCase();
  return shown.has(sled.state) && text.includes(wanted);
}

function drawSleds(rack) {
  const list = byId("sleds");
  const seen = new Set();
  const severalLinks = rack.links.length > 1;
  let before = null;
  for (const sled of rack.sleds) {
    const key = `${sled.link} ${sled.sled}`;
    seen.add(key);
    if (!tiles.has(key)) {
      const made = makeTile();
      tiles.set(key, made);
      if (before) before.after(made.tile);
      else list.prepend(made.tile);
    }
    const tile = tiles.get(key);
    drawTile(tile, sled, rack.time, severalLinks);
    tile.tile.hidden = !isWanted(sled);
    before = tile.tile;
  }
  for (const [key, { tile }] of tiles) {
    if (!seen.has(key)) {
      tile.remove();
      tiles.delete(key);
    }
  }
  byId("none").hidden = rack.sleds.length > 0;
}

function drawSummary(rack) {
  const count = (state) => rack.sleds.filter((sled) => sled.state === state).length;
  const booting = rack.sleds.filter((sled) => sled.state === "reading");
  const perSecond = booting.reduce((sum, sled) => sum + sled.bytes_per_second, 0);
  const facts = [
    ["Sleds", rack.sleds.length], ["Booting", booting.length + count("stalled")],
    ["Booted", count("booted")], ["Failed", count("failed")],
    ["Rate", rate(perSecond)], ["Images", rack.images.length],
  ];
  const list = byId("summary");
  facts.forEach(([name, value], index) => {
    let group = list.children[index];
    if (!group) {
      group = element("div");
      group.append(element("dt", name), element("dd"));
      list.append(group);
    }
    say(group.lastChild, String(value));
  });
}

function drawImages(rack) {
  const cards = rack.images.map((image) => {
    const card = element("li");
    card.append(element("h3", image.name || image.path));
    const where = image.name ? `${image.path}, ` : "";
    card.append(element("div", `${where}${bytes(image.size)}; ${image.reading} booting, ${image.booted} booted`));
    card.append(element("div", `sha256 ${image.image}`, "sum"));
    const verdicts = element("ul", undefined, "verdicts");
    for (const [source, verdict] of Object.entries(image.boot_sources || {})) {
      const line = element("li");
      const word = verdict.accepted ? "accepts" : "refuses";
      const kind = verdict.accepted ? "yes" : verdict.meant ? "no" : "other";
      const text = element("span", word, kind);
      if (verdict.reason) text.textContent = `${word}: ${verdict.reason}`;
      line.append(element("span", source), text);
      verdicts.append(line);
    }
    if (!image.boot_sources) verdicts.append(element("li", "looking at it", "other"));
    card.append(verdicts);
    return card;
  });
  replace(byId("images"), cards);
  replace(byId("troubles"), rack.troubles.map((trouble) => element("li", `${trouble.time}  ${trouble.text}`)));
}

/** Replaces children only if they say something else: what is selected or focused stays so. */
function replace(parent, children) {
  const text = children.map((child) => `${child.className} ${child.textContent}`).join("\n");
  if (parent.dataset.text === text) return;
  parent.dataset.text = text;
  parent.replaceChildren(...children);
}

function drawLinks(rack) {
  const number = (count) => count.toLocaleString("en");
  const heads = byId("links").parentElement.tHead.rows[0].cells;
  replace(byId("links"), rack.links.map((link) => {
    const row = element("tr");
    const lost = (count) => element("td", number(count), count ? "trouble" : "");
    const state = link.state === "up" ? "up" : link.reason || link.state;
    row.append(element("td", link.renamed ? `${link.link} (${link.renamed})` : link.link),
      element("td", state, link.state === "up" ? "" : "trouble"),
      element("td", number(link.sent)), lost(link.dropped), element("td", number(link.received)),
      lost(link.missed), lost(link.broken), lost(link.downs), element("td", link.path));
    // Where the table is narrow, its rows are cards, and it would be no table to a screen reader.
    row.setAttribute("role", "row");
    for (const [index, cell] of [...row.children].entries()) {
      cell.setAttribute("role", "cell");
      cell.dataset.label = heads[index].textContent;
    }
    return row;
  }));
}

function drawRest(rack) {
  byId("ignored-section").hidden = rack.ignored.length === 0;
  replace(byId("ignored"), rack.ignored.map((sled) =>
    element("li", `${sled.link} ${sled.sled}${sled.name ? ` (${sled.name})` : ""}, seen ${ago(sled.last_seen, rack.time)}`)));
  replace(byId("events"), rack.events.slice().reverse().map((event) => {
    const who = [event.link, event.sled, event.name && `(${event.name})`].filter(Boolean).join(" ");
    const fields = Object.entries(event.fields).map(([key, value]) => `${key}=${value}`).join(" ");
    return element("li", `${event.time.slice(11, 19)} ${who} ${event.event} ${fields}`, event.level);
  }));
}

function takePoints(more) {
  const first = more.length ? more[0].second : 0;
  points = points.filter((point) => point.second < first).concat(more).slice(-600);
  const caption = draw(byId("plot"), points, rate);
  say(byId("plot-caption"), caption);
}

function drawAll(rack) {
  last = rack;
  drawSummary(rack);
  drawSleds(rack);
  drawImages(rack);
  drawLinks(rack);
  drawRest(rack);
  takePoints(rack.throughput);
  document.body.dataset.drawn = "yes";
}

function connection(text, lost) {
  const node = byId("connection");
  say(node, text);
  node.classList.toggle("lost", lost);
}

for (const state of STATES) {
  const label = element("label");
  const box = element("input");
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", () => {
    if (box.checked) shown.add(state);
    else shown.delete(state);
    if (last) drawSleds(last);
  });
  label.append(box, state);
  byId("states").append(label);
}
byId("find").addEventListener("input", () => last && drawSleds(last));

async function begin() {
  try {
    const answer = await fetch("api/v1/links");
    takePoints((await answer.json()).throughput);
  } catch {
    // What has been is not shown; what comes is.
  }
}

const news = new EventSource("api/v1/live");
news.addEventListener("open", () => {
  connection("live", false);
  begin();
});
news.addEventListener("error", () => connection("no connection: what is shown is old", true));
news.addEventListener("rack", (event) => drawAll(JSON.parse(event.data)));
