// Judges pages in a real browser: axe-core's rules of WCAG 2.2 AA in light and dark, on a narrow and a
// wide screen; that nothing has to be scrolled sideways (1.4.10); and that the Tab key reaches every
// control (2.1.1) and shows where it is (2.4.7). Knows nothing of what the pages are about.
//
//   node tests/node/axe.mjs URL…      file: addresses too
//
// A line a fault, `URL | rule | where | what`; ends with 1 where there are any. NODE_TOOLS names the
// directory of programs below which its packages lie, CHROMIUM another browser.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const tools = process.env.NODE_TOOLS ?? join(root, ".run/test/node/node_modules/.bin");
const require = createRequire(join(tools, "../../judge.js"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// What depends on light or dark.
const COLORS = ["color-contrast", "link-in-text-block"];
const WIDTHS_PX = [360, 1280];
const HEIGHT_PX = 800;
const SCHEMES = ["light", "dark"];
const WAIT_MS = 60_000;
// Faults of one rule on one page that are told; a hundred of a kind say no more than a few.
const TOLD_MAX = 5;
// Stops of the Tab key; a page with more would be no page for a keyboard.
const STOPS_MAX = 5_000;
const BROWSER = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];

// What axe-core finds on the page as it stands: by all rules, or by those of colours alone.
async function rules(page, colors) {
  const only = colors ? { type: "rule", values: COLORS } : { type: "tag", values: RULES };
  const { violations } = await page.evaluate(
    (runOnly) => axe.run({ runOnly, resultTypes: ["violations"] }), only);
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target }) => ({ rule: id, place: target.join(" "), what: help })));
}

// What stands out of the window to the right, where the page itself would have to be moved.
async function reflow(page) {
  const [needs, has] = await page.evaluate(
    () => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  return needs > has ? [{ rule: "reflow", place: "html", what: `${needs} px wide in ${has} px` }] : [];
}

// Notes how each control looks at rest, and on each stop of the Tab key whether that has changed.
function watch() {
  const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, iframe, "
    + "[onclick], [contenteditable], [tabindex]:not([tabindex='-1']), [role=button], [role=link], "
    + "[role=checkbox], [role=switch], [role=tab], [role=option], [role=menuitem]";
  const look = (element) => {
    const style = getComputedStyle(element);
    const outline = style.outlineStyle === "none" || parseFloat(style.outlineWidth) === 0
      ? "" : [style.outlineStyle, style.outlineWidth, style.outlineColor, style.outlineOffset].join();
    return [outline, style.boxShadow, style.borderColor, style.borderWidth, style.backgroundColor,
      style.textDecorationLine].join("|");
  };
  const live = (element) => element.checkVisibility({ visibilityProperty: true })
    && !element.matches(":disabled") && !element.closest("[inert]");
  window.rest = new Map([...document.querySelectorAll(controls)].filter(live).map((e) => [e, look(e)]));
  window.stops = new Map();
  document.addEventListener("focusin", ({ target }) => window.stops.set(target, look(target)));
  document.activeElement?.blur?.();
  window.scrollTo(0, 0);
  return window.rest.size;
}

// Controls that were not reached, and those that looked the same when they were.
function missed() {
  const name = (element) => element.outerHTML.slice(0, 80).replace(/\s+/g, " ");
  // Of a group of radio buttons the Tab key reaches one (ARIA practices, radio group).
  const group = (element) => element.type === "radio" && element.name
    ? [...document.getElementsByName(element.name)] : [element];
  const faults = [];
  for (const element of window.rest.keys()) {
    if (!group(element).some((one) => window.stops.has(one))) {
      faults.push({ rule: "keyboard", place: name(element), what: "the Tab key does not reach it" });
    }
  }
  for (const [element, look] of window.stops) {
    if (window.rest.get(element) === look) {
      faults.push({ rule: "focus-visible", place: name(element), what: "nothing shows the focus" });
    }
  }
  return faults;
}

async function keyboard(page) {
  const controls = await page.evaluate(watch);
  if (controls > STOPS_MAX) {
    return [{ rule: "keyboard", place: "html", what: `${controls} stops, at most ${STOPS_MAX}` }];
  }
  const session = await page.context().newCDPSession(page);
  const key = { key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 };
  // They are handled one after the other; waiting for each would take the longer part of the time.
  const press = (type) => session.send("Input.dispatchKeyEvent", { type, ...key });
  await Promise.all(Array.from({ length: controls + 1 }, () => [press("rawKeyDown"), press("keyUp")])
    .flat());
  await session.detach();
  return page.evaluate(missed);
}

// Faults of one page.
async function judge(page, url) {
  const answer = await page.goto(url);
  if (answer && !answer.ok()) return [{ rule: "load", place: url, what: `answers ${answer.status()}` }];
  await page.evaluate(AXE);
  const faults = [];
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS_PX) {
      await page.setViewportSize({ width, height: HEIGHT_PX });
      const found = [...await rules(page, colorScheme !== SCHEMES[0]), ...await reflow(page)];
      faults.push(...found.map((fault) => ({ ...fault, under: `${colorScheme} ${width} px` })));
    }
  }
  faults.push(...await keyboard(page));
  return faults;
}

// A line a fault, with all that it was seen under; how many there are.
function tell(url, faults) {
  const places = new Map();
  for (const { rule, place, what, under } of faults) {
    const line = [url, rule, place, what].join(" | ");
    const seen = places.get(line) ?? { rule, under: [] };
    if (under) seen.under.push(under);
    places.set(line, seen);
  }
  const count = new Map();
  for (const [line, { rule, under }] of places) {
    count.set(rule, (count.get(rule) ?? 0) + 1);
    const where = under.length > 0 ? ` (${under.join(", ")})` : "";
    if (count.get(rule) <= TOLD_MAX) console.log(line + where);
  }
  for (const [rule, all] of count) {
    if (all > TOLD_MAX) console.log(`${url} | ${rule} | ${all - TOLD_MAX} more`);
  }
  return places.size;
}

const urls = process.argv.slice(2);
if (urls.length === 0) {
  console.error("usage: node tests/node/axe.mjs URL…");
  process.exit(2);
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: BROWSER, timeout: WAIT_MS,
});
let faults = 0;
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MS);
  for (const url of urls) {
    faults += tell(url, await judge(page, url));
  }
} finally {
  await browser.close();
}
console.log(`axe: ${urls.length} pages, ${faults} faults`);
process.exitCode = faults > 0 ? 1 : 0;
