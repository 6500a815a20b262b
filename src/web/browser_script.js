// The browser script served as /v1/a.js, in readable form. The Worker ships src/web/browser_script_text.py, which
// `npm run script` makes from this file. What it does for a site: docs/browser.md.
(() => {
  const script = document.currentScript;
  const early = window.mm; // an array of calls made before this script arrived, e.g. [["track", "signup"]]
  if (!script || (early && early.track)) return;

  const BATCH = 20;
  const WAIT_MS = 2000;
  const LONGEST_WAIT_MS = 300000;
  const QUEUE = 200;
  const STORED_AS = "mm_anonymous_id";

  const key = script.getAttribute("data-key");
  const host = script.getAttribute("data-host") || new URL(script.src).origin;
  const address = host.replace(/\/+$/, "") + "/v1/batch";
  const silent = !key || navigator.doNotTrack === "1" || navigator.globalPrivacyControl === true;
  if (!key) console.warn("millimetric: the script tag needs data-key");

  let queue = []; // events as JSON texts: what the page does to its objects later changes nothing
  let inFlight = 0; // events sent and not yet answered
  let size = BATCH; // of the next batch: halved while the server refuses one, to find the event it refuses
  let failures = 0; // in a row
  let timer = 0;
  let held = false; // until the timer ends: the server is unreachable or asked for patience
  let stopped = silent;
  let anonymousId;
  let userId;
  let url; // of the last page view, with its referrer
  let referrer = document.referrer;

  // Nothing here may ever throw into the page.
  const guarded =
    (work) =>
    (...args) => {
      try {
        return work(...args);
      } catch (error) {
        console.warn("millimetric:", error);
      }
    };

  const randomId = () =>
    crypto.randomUUID // only on https pages and localhost
      ? crypto.randomUUID()
      : Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => (byte + 256).toString(16).slice(1)).join("");

  const setAnonymousId = (id) => {
    anonymousId = String(id).slice(0, 128);
    if (silent) return;
    try {
      localStorage.setItem(STORED_AS, anonymousId);
    } catch {} // blocked: the id lives as long as the page
  };

  const getAnonymousId = () => {
    if (!anonymousId) {
      let known;
      try {
        known = silent || localStorage.getItem(STORED_AS);
      } catch {}
      setAnonymousId(silent || !known ? randomId() : known);
    }
    return anonymousId;
  };

  const here = () => location.href.split("#")[0].slice(0, 2048);

  const track = (name, properties) => {
    if (stopped || !name || queue.length + inFlight >= QUEUE) return;
    const event = {
      event: String(name),
      event_id: randomId(),
      timestamp: new Date().toISOString(),
      anonymous_id: getAnonymousId(),
      user_id: userId,
      url: url || here(),
      referrer: referrer.slice(0, 2048) || undefined,
      properties: properties || undefined,
    };
    queue.push(JSON.stringify(event));
    if (queue.length >= BATCH) flush();
    else if (!timer) timer = setTimeout(flush, WAIT_MS);
  };

  const identify = (id, traits) => {
    userId = id ? String(id) : undefined;
    if (userId) track("$identify", traits);
  };

  const page = () => {
    const current = here();
    if (url && url !== current) referrer = url;
    url = current;
    track("$pageview");
  };

  // The key goes into a text/plain body: a request the browser sends without asking the server first (no preflight).
  const bodyOf = (batch) => `{"key":${JSON.stringify(key)},"events":[${batch}]}`;

  const post = (batch) =>
    fetch(address, { method: "POST", body: bodyOf(batch), credentials: "omit", keepalive: !failures });

  const flush = (everything) => {
    if (held) return;
    clearTimeout(timer);
    timer = 0;
    while (queue.length && (everything === true || !inFlight)) {
      const batch = queue.splice(0, size);
      inFlight += batch.length;
      post(batch).then(
        (answer) => settle(batch, answer.status, answer.headers.get("retry-after")),
        () => settle(batch, 0),
      );
    }
  };

  const settle = (batch, status, retryAfter) => {
    inFlight -= batch.length;
    if (!status || status === 429 || status >= 500) {
      queue = batch.concat(queue);
      return hold(Math.max(Number(retryAfter) * 1000 || 0, Math.min(WAIT_MS * 2 ** failures, LONGEST_WAIT_MS)));
    }
    failures = 0;
    if (status < 400) size = BATCH;
    else if (status !== 400 && status !== 413) {
      stopped = true; // the key, the origin or the plan is refused: so would the rest be
      queue = [];
    } else if (batch.length > 1) {
      queue = batch.concat(queue);
      size = batch.length >> 1;
    }
    flush();
  };

  const hold = (wait_ms) => {
    failures++;
    held = true;
    clearTimeout(timer);
    timer = setTimeout(() => {
      held = false;
      flush();
    }, wait_ms);
  };

  // The page goes away: a beacon outlives it, and there will be nobody to hear the answer.
  const leave = () => {
    while (queue.length) {
      const batch = queue.splice(0, BATCH);
      if (!navigator.sendBeacon || !navigator.sendBeacon(address, bodyOf(batch))) post(batch).catch(() => {});
    }
  };

  const navigated = guarded(() => {
    if (here() !== url) page();
  });

  const watch = () => {
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function (...args) {
        const result = original.apply(this, args);
        navigated();
        return result;
      };
    }
    addEventListener("popstate", navigated);
    addEventListener("pageshow", (shown) => shown.persisted && mm.page());
    addEventListener("pagehide", guarded(leave));
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && mm.flush(true));
  };

  const mm = {};
  for (const method of Object.entries({ track, identify, page, flush, getAnonymousId, setAnonymousId })) {
    mm[method[0]] = guarded(method[1]);
  }
  mm.push = guarded(([name, ...args]) => mm[name](...args));
  window.mm = mm;

  const start = () => {
    const calls = Array.isArray(early) ? early : [];
    const isIdentity = (call) => ["identify", "setAnonymousId"].includes(call && call[0]);
    calls.filter(isIdentity).forEach(mm.push);
    page();
    calls.filter((call) => !isIdentity(call)).forEach(mm.push);
    if (!silent) watch();
  };
  if (document.prerendering) document.addEventListener("prerenderingchange", guarded(start), { once: true });
  else guarded(start)();
})();
