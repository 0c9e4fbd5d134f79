// The console works without this script. It folds the menu on a phone, and keeps open pages current.
"use strict";

const PERIOD = 500; // milliseconds between two questions of an open list; data-period replaces it
const SLOWEST = 10000;

// --- the menu on a phone ---------------------------------------------------------------------------

const menu = document.querySelector("details.menu");
const narrow = window.matchMedia("(max-width: 52rem)");

function foldMenu() {
  if (menu) menu.open = !narrow.matches;
}

foldMenu();
narrow.addEventListener("change", foldMenu);

// --- what changes by itself --------------------------------------------------------------------------

// An element with data-rows is replaced by what this address returns, when it has changed.
const list = document.querySelector("[data-rows]");
const offline = document.getElementById("offline");
const live = document.getElementById("live");
const announce = document.getElementById("announce");
let failures = 0;

function isInUse() {
  // Do not replace what a person selects or copies, nor a question that waits for an answer.
  const selection = document.getSelection();
  if (list.querySelector("details.confirm[open]")) return true;
  return selection && !selection.isCollapsed && list.contains(selection.anchorNode);
}

function elements(selector) {
  return [...list.querySelectorAll(selector)];
}

function idsOf(root) {
  return new Set([...root.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
}

function replaceRows(html) {
  const before = idsOf(list);
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const position = elements("a, button, summary").indexOf(document.activeElement);
  const open = elements("details").map((each) => each.open);
  const parsed = new DOMParser().parseFromString(html, "text/html");
  list.replaceChildren(...parsed.body.childNodes);
  let added = 0;
  for (const row of list.querySelectorAll("[data-id]")) {
    if (before.has(row.dataset.id)) continue;
    row.classList.add("fresh");
    added += 1;
  }
  if (added && announce) announce.textContent = announce.dataset.text.replace("{number}", added);
  const details = elements("details");
  if (details.length === open.length) details.forEach((each, index) => (each.open = open[index]));
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  else if (position >= 0) elements("a, button, summary")[position]?.focus();
}

async function update() {
  const address = new URL(list.dataset.rows, document.baseURI);
  address.searchParams.set("seen", list.dataset.digest);
  const response = await fetch(address, { headers: { "x-requested-with": "console" } });
  if (response.status === 401 || response.status === 403) {
    window.location.reload();
    return;
  }
  if (response.status !== 200 && response.status !== 204) throw new Error(String(response.status));
  if (response.status === 200 && !isInUse()) {
    replaceRows(await response.text());
    list.dataset.digest = response.headers.get("x-digest");
  }
}

function show(isLive) {
  if (offline) offline.hidden = isLive;
  if (live) {
    live.textContent = isLive ? live.dataset.live : live.dataset.paused;
    live.classList.toggle("live", isLive);
  }
}

async function follow() {
  const began = performance.now();
  if (!document.hidden) {
    try {
      await update();
      failures = 0;
    } catch {
      failures += 1;
    }
    show(failures < 2);
  }
  // A slow relay is asked less often.
  const took = performance.now() - began;
  setTimeout(follow, Math.min(Math.max(Number(list.dataset.period) || PERIOD, took * 4) * 2 ** Math.min(failures, 2), SLOWEST));
}

if (list) setTimeout(follow, PERIOD);
