// The panel on the right: whether people can sign in, second by second.
import { h, svg } from './dom.js';
import { ago } from './text.js';

const span = 180; // seconds shown

export function startDrill(box, wanted, world, toast) {
  const parts = build(box, toast);
  const tick = async () => {
    if (wanted()) {
      try {
        const r = await fetch('/drill/state', { cache: 'no-store' });
        const s = r.ok ? await r.json() : null;
        box.hidden = !s;
        if (s) update(parts, s);
      } catch {
        parts.word.textContent = 'no answer';
      }
    } else {
      box.hidden = wanted() === undefined ? box.hidden : true;
    }
    document.body.classList.toggle('has-drill', !box.hidden);
    setTimeout(tick, wanted() === undefined ? 100 : 1000);
  };
  tick();
}

function build(box, toast) {
  const p = {
    scenario: h('span', { class: 'chip', 'data-testid': 'scenario' }),
    rate: h('p', { class: 'rate', id: 'success-rate', 'data-testid': 'success-rate' }, '–'),
    word: h('p', { class: 'rate-word', 'data-testid': 'success-word', role: 'status' }),
    detail: h('p', { class: 'muted small', 'data-testid': 'rpm' }),
    chart: svg('svg', { class: 'chart', viewBox: '0 0 260 90', role: 'img', preserveAspectRatio: 'none' }),
    live: h('ul', { class: 'kids', 'data-testid': 'live-kids', 'aria-label': 'Live keys' }),
    cached: h('ul', { class: 'kids', 'data-testid': 'cached-kids', 'aria-label': 'Cached keys' }),
    rotated: h('p', { class: 'muted small', 'data-testid': 'rotated-at' }),
    error: h('p', { class: 'last-error', 'data-testid': 'last-error', hidden: true }),
    rotate: h('button', { type: 'button', class: 'button wide', id: 'rotate' }, 'Rotate keys'),
  };
  p.rotate.addEventListener('click', async () => {
    p.rotate.disabled = true;
    try {
      const r = await fetch('/drill/rotate', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
      if (r.ok) toast('The identity provider has new signing keys.', 'info');
      else toast('Rotate keys: the identity provider answered ' + r.status + '.');
    } catch (err) {
      toast('Rotate keys: ' + err.message);
    }
    p.rotate.disabled = false;
  });
  box.append(
    h('header', { class: 'drill-head' }, h('h2', {}, 'Sign-ins right now'), p.scenario),
    h('div', { class: 'rate-box' }, p.rate, p.word), p.detail, p.chart,
    h('ul', { class: 'legend', 'aria-hidden': 'true' }, h('li', { class: 'legend-ok' }, 'accepted'), h('li', { class: 'legend-failed' }, 'refused'), h('li', { class: 'legend-span' }, 'last 3 min')),
    h('h3', {}, 'Live keys'), p.live, h('h3', {}, 'Cached keys'), p.cached, p.error, p.rotate, p.rotated);
  return p;
}

function level(rate) {
  if (rate === null || rate === undefined) return ['none', 'no traffic yet'];
  if (rate >= 0.99) return ['good', 'healthy'];
  if (rate >= 0.9) return ['some', 'some users are refused'];
  if (rate >= 0.5) return ['bad', 'many users are refused'];
  return ['bad', 'most users cannot sign in'];
}

function update(p, s) {
  const rate = s.success_rate;
  const [kind, word] = level(rate);
  p.scenario.textContent = s.scenario || '';
  p.scenario.hidden = !s.scenario;
  p.rate.textContent = rate === null || rate === undefined ? '–' : Math.floor(rate * 1000) / 10 + '%';
  p.rate.dataset.level = kind;
  if (p.word.textContent !== word) p.word.textContent = word;
  p.word.dataset.level = kind;
  p.detail.textContent = s.requests_per_minute ? Math.round(s.requests_per_minute) + ' sign-ins a minute' : '';
  chart(p.chart, s.series || []);
  const live = s.live_kids || [];
  const cached = s.cached_kids || [];
  kids(p.live, live, (k) => (cached.includes(k) || !cached.length ? '' : 'not in the cache'), 'none published');
  kids(p.cached, cached, (k) => (live.includes(k) || !live.length ? '' : 'no longer live'), 'the cache is empty');
  const at = s.rotated_at ? new Date(s.rotated_at) : null;
  p.rotated.textContent = at && at.getFullYear() > 2000 ? 'Keys rotated ' + ago(at, latest(s)) : '';
  // Once everybody gets in, an old refusal would only alarm.
  p.error.hidden = !s.last_error || rate === 1;
  p.error.textContent = p.error.hidden ? '' : 'Last refusal: ' + s.last_error;
}

// latest is the newest moment that the state speaks of: the drill's own clock.
function latest(s) {
  const last = (s.series || []).at(-1)?.at;
  const t = last ? new Date(last) : new Date();
  return s.rotated_at && new Date(s.rotated_at) > t ? new Date(s.rotated_at) : t;
}

function kids(ul, list, note, empty) {
  const rows = list.map((k) => [String(k), note(k)]);
  if (!rows.length) rows.push(['', empty]);
  const sig = JSON.stringify(rows);
  if (ul.dataset.sig === sig) return;
  ul.dataset.sig = sig;
  ul.replaceChildren(...rows.map(([k, n]) => h('li', { class: n && k ? 'odd' : null, 'data-kid': k || null }, k && h('code', { title: k }, k), n && h('span', { class: 'kid-note' }, n))));
}

// chart draws accepted below, refused on top, one bar for each point in time.
function chart(el, series) {
  const points = series.map((x) => ({ t: new Date(x.at).getTime() / 1000, ok: Number(x.ok) || 0, failed: Number(x.failed) || 0 })).filter((x) => x.t > 0);
  const end = points.length ? points.at(-1).t : 0;
  const shown = points.filter((x) => end - x.t < span);
  const step = shown.length > 1 ? Math.max((end - shown[0].t) / (shown.length - 1), 1) : 5;
  const most = Math.max(1, ...shown.map((x) => x.ok + x.failed));
  const width = Math.max((260 * step) / span - 0.6, 0.8);
  const bars = shown.flatMap((x) => {
    const left = 260 - ((end - x.t + step) / span) * 260;
    const ok = (x.ok / most) * 84;
    const failed = (x.failed / most) * 84;
    return [
      svg('rect', { class: 'bar-ok', x: left, y: 88 - ok, width, height: ok }),
      svg('rect', { class: 'bar-failed', x: left, y: 88 - ok - failed, width, height: failed }),
    ];
  });
  el.replaceChildren(svg('line', { class: 'axis', x1: 0, x2: 260, y1: 88.5, y2: 88.5 }), ...bars);
  const sum = (f) => shown.reduce((n, x) => n + x[f], 0);
  el.setAttribute('aria-label', 'Last three minutes: ' + sum('ok') + ' sign-ins accepted, ' + sum('failed') + ' refused');
}
