// Slack's text formats as DOM nodes: mrkdwn, plain text, rich text, markdown.
import { h } from './dom.js';

// Signs that are drawn by the page itself, so that they look the same where no
// emoji font is installed.
const signs = {
  eyes: ['info', '◉'],
  white_check_mark: ['ok', '✓'], heavy_check_mark: ['ok', '✓'], large_green_circle: ['green', ''],
  x: ['bad', '✕'], no_entry: ['bad', '–'], no_entry_sign: ['bad', '–'], red_circle: ['red', ''], rotating_light: ['bad', '!'],
  warning: ['warn', '!'], large_yellow_circle: ['yellow', ''], large_orange_circle: ['yellow', ''], grey_question: ['info', '?'], question: ['info', '?'],
  white_circle: ['grey', ''], large_blue_circle: ['blue', ''], black_circle: ['grey', ''], information_source: ['info', 'i'],
  hourglass_flowing_sand: ['wait', '…'], hourglass: ['wait', '…'], arrows_counterclockwise: ['info', '↻'],
};
const unicodeSigns = {
  '👀': 'eyes', '✅': 'white_check_mark', '❌': 'x', '⚠️': 'warning', '⚠': 'warning', '🟢': 'large_green_circle', '🔴': 'red_circle', '🟡': 'large_yellow_circle',
  '🟠': 'large_orange_circle', '⚪': 'white_circle', '🔵': 'large_blue_circle', '⏳': 'hourglass_flowing_sand', '⌛': 'hourglass', '🚨': 'rotating_light',
  '⛔': 'no_entry', 'ℹ️': 'information_source', '🔄': 'arrows_counterclockwise', '❓': 'question',
};
const emoji = {
  key: '🔑', lock: '🔒', mag: '🔍', eyes: '👀', tada: '🎉', bell: '🔔', stopwatch: '⏱️', bulb: '💡', shield: '🛡️', fire: '🔥', wrench: '🔧', link: '🔗', memo: '📝',
  page_facing_up: '📄', bar_chart: '📊', thumbsup: '👍', '+1': '👍', wave: '👋', robot_face: '🤖', broom: '🧹', pager: '📟', point_right: '👉', arrow_right: '➡️',
};

const unescape = (s) => s.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');

function sign(name) {
  const [kind, glyph] = signs[name];
  return h('span', { class: 'sign sign-' + kind, role: 'img', 'aria-label': name.replaceAll('_', ' '), title: ':' + name + ':' }, glyph);
}

function named(name) {
  if (signs[name]) return sign(name);
  return emoji[name] ? h('span', { class: 'emoji', title: ':' + name + ':' }, emoji[name]) : ':' + name + ':';
}

const signPattern = new RegExp(Object.keys(unicodeSigns).sort((a, b) => b.length - a.length).join('|'), 'gu');

// words turns text without formatting into nodes: line breaks and signs.
function words(text) {
  const out = [];
  let from = 0;
  for (const m of text.matchAll(signPattern)) {
    out.push(text.slice(from, m.index), sign(unicodeSigns[m[0]]));
    from = m.index + m[0].length;
  }
  out.push(text.slice(from));
  return out.filter((x) => x !== '').flatMap((x) => (typeof x === 'string' ? lines(x) : [x]));
}

const lines = (text) => text.split('\n').flatMap((l, i) => (i ? [h('br'), l] : [l])).filter((x) => x !== '');

export function link(url, label) {
  if (!/^(https?:|mailto:)/i.test(url)) return label || url;
  return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, label || url);
}

const mention = (kind, text) => h('span', { class: 'mention mention-' + kind, 'data-mention': kind }, text);

const user = (id, world) => mention(id === world.me() ? 'me' : 'user', '@' + world.userName(id));

// control is one <…> sequence.
function control(body, world) {
  const [what, label] = [body.split('|')[0], body.includes('|') ? unescape(body.slice(body.indexOf('|') + 1)) : ''];
  switch (what[0]) {
    case '@': return user(what.slice(1), world);
    case '#': return mention('channel', '#' + (label || world.channelName(what.slice(1))));
    case '!': return special(what.slice(1), label, world);
  }
  return link(unescape(what), label);
}

function special(what, label, world) {
  const parts = what.split('^');
  if (parts[0] === 'subteam') return mention('group', '@' + world.groupName(parts[1]));
  if (parts[0] === 'date') return h('time', { class: 'date', title: label }, dateText(Number(parts[1]), parts[2] || '', label, world));
  if (['channel', 'here', 'everyone'].includes(what)) return mention('broadcast', '@' + what);
  return label || '<' + what + '>';
}

const dayNames = (d, now) => {
  const day = (x) => new Date(x.getFullYear(), x.getMonth(), x.getDate()).getTime();
  return { '-86400000': 'yesterday', 0: 'today', 86400000: 'tomorrow' }[Math.round((day(d) - day(now)) / 36e5) * 36e5];
};

export function dateText(seconds, format, fallback, world) {
  const d = new Date(seconds * 1000);
  if (Number.isNaN(d.getTime())) return fallback;
  const now = new Date(world.now());
  const fmt = (o) => d.toLocaleString('en-GB', o);
  const pretty = (o) => dayNames(d, now) || fmt(o);
  const long = { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' };
  const medium = { day: 'numeric', month: 'long', year: 'numeric' };
  const short = { day: 'numeric', month: 'short', year: 'numeric' };
  const forms = {
    date_num: fmt({ year: 'numeric', month: '2-digit', day: '2-digit' }), date: fmt(medium), date_short: fmt(short), date_long: fmt(long),
    date_pretty: pretty(medium), date_short_pretty: pretty(short), date_long_pretty: pretty(long),
    time: fmt({ hour: '2-digit', minute: '2-digit' }), time_secs: fmt({ hour: '2-digit', minute: '2-digit', second: '2-digit' }), ago: ago(d, now),
  };
  const text = format.replace(/\{(\w+)\}/g, (all, name) => forms[name] ?? all);
  return text || fallback;
}

export function ago(d, now) {
  const s = Math.round((now - d) / 1000);
  const a = Math.abs(s);
  const amount = a < 90 ? a + ' s' : a < 5400 ? Math.round(a / 60) + ' min' : a < 129600 ? Math.round(a / 3600) + ' h' : Math.round(a / 86400) + ' days';
  return s >= 0 ? amount + ' ago' : 'in ' + amount;
}

const inline = new RegExp([
  '```\\n?([\\s\\S]+?)\\n?```', // 1 block of code
  '`([^`\\n]+)`', // 2 code
  '<([^<>\\n]+)>', // 3 control sequence
  '(?<![\\w*])\\*(?=\\S)([^*\\n]*[^*\\s])\\*(?!\\w)', // 4 bold
  '(?<!\\w)_(?=\\S)([^_\\n]*[^_\\s])_(?!\\w)', // 5 italic
  '(?<![\\w~])~(?=\\S)([^~\\n]*[^~\\s])~(?!\\w)', // 6 strike
  ':([a-z0-9_+-]+):', // 7 emoji
].join('|'), 'g');

// mrkdwn renders Slack's own markup.
export function mrkdwn(text, world) {
  const out = [];
  let quote = null;
  const parts = String(text ?? '').split(/(```[\s\S]+?```)/);
  for (const part of parts) {
    if (part.startsWith('```') && part.length > 6) {
      quote = null;
      out.push(...span(part, world));
      continue;
    }
    const rows = part.split('\n');
    rows.forEach((row, i) => {
      const quoted = row.match(/^(?:&gt;|>) ?(.*)$/);
      const last = i === rows.length - 1;
      if (quoted) {
        if (!quote) out.push((quote = h('blockquote')));
        else quote.append(h('br'));
        quote.append(...span(quoted[1], world));
        return;
      }
      quote = null;
      out.push(...span(row, world));
      if (!last) out.push(h('br'));
    });
  }
  return out;
}

function span(text, world) {
  const out = [];
  let from = 0;
  for (const m of text.matchAll(inline)) {
    out.push(...words(unescape(text.slice(from, m.index))));
    from = m.index + m[0].length;
    if (m[1] !== undefined) out.push(h('pre', { class: 'code' }, unescape(m[1])));
    else if (m[2] !== undefined) out.push(h('code', {}, unescape(m[2])));
    else if (m[3] !== undefined) out.push(control(m[3], world));
    else if (m[4] !== undefined) out.push(h('strong', {}, span(m[4], world)));
    else if (m[5] !== undefined) out.push(h('em', {}, span(m[5], world)));
    else if (m[6] !== undefined) out.push(h('s', {}, span(m[6], world)));
    else out.push(named(m[7]));
  }
  out.push(...words(unescape(text.slice(from))));
  return out;
}

// textObject renders a text object of Block Kit.
export function textObject(t, world) {
  if (!t) return [];
  if (t.type === 'mrkdwn') return mrkdwn(t.text, world);
  return String(t.text ?? '').split(/(:[a-z0-9_+-]+:)/).flatMap((p) => {
    const m = p.match(/^:([a-z0-9_+-]+):$/);
    return m ? [named(m[1])] : words(p);
  });
}

// markdown renders the part of Markdown that a markdown block needs.
export function markdown(text, world) {
  const out = h('div', { class: 'markdown' });
  let listing = null;
  for (const part of String(text ?? '').split(/(```[\s\S]*?```)/)) {
    if (part.startsWith('```')) {
      out.append(h('pre', { class: 'code' }, part.replace(/^```\w*\n?|\n?```$/g, '')));
      continue;
    }
    for (const row of part.split('\n')) {
      const item = row.match(/^\s*[-*] (.*)$/);
      const head = row.match(/^(#{1,4}) (.*)$/);
      if (!item) listing = null;
      if (item) {
        if (!listing) out.append((listing = h('ul')));
        listing.append(h('li', {}, markdownSpan(item[1], world)));
      } else if (head) out.append(h('p', { class: 'markdown-head' }, markdownSpan(head[2], world)));
      else if (row.trim()) out.append(h('p', {}, markdownSpan(row, world)));
    }
  }
  return out;
}

function markdownSpan(text, world) {
  const slackish = text.replace(/\*\*([^*]+)\*\*/g, '\u0001$1\u0001').replace(/(?<!\w)\*([^*]+)\*(?!\w)/g, '_$1_').replace(/\u0001/g, '*')
    .replace(/\[([^\]]+)\]\((https?:[^)\s]+)\)/g, '<$2|$1>');
  return span(slackish, world);
}

// richText renders the elements of a rich_text block.
export function richText(block, world) {
  return (block.elements || []).map((e) => {
    switch (e.type) {
      case 'rich_text_list':
        return h(e.style === 'ordered' ? 'ol' : 'ul', { class: 'indent-' + Math.min(e.indent || 0, 4) }, (e.elements || []).map((li) => h('li', {}, richInline(li, world))));
      case 'rich_text_preformatted': return h('pre', { class: 'code' }, richInline(e, world));
      case 'rich_text_quote': return h('blockquote', {}, richInline(e, world));
      default: return h('div', { class: 'rich-section' }, richInline(e, world));
    }
  });
}

function richInline(section, world) {
  return (section.elements || []).flatMap((e) => {
    let nodes = richLeaf(e, world);
    const style = e.style || {};
    if (style.code) nodes = [h('code', {}, nodes)];
    if (style.bold) nodes = [h('strong', {}, nodes)];
    if (style.italic) nodes = [h('em', {}, nodes)];
    if (style.strike) nodes = [h('s', {}, nodes)];
    return nodes;
  });
}

function richLeaf(e, world) {
  switch (e.type) {
    case 'text': return words(e.text || '');
    case 'link': return [link(e.url || '', e.text)];
    case 'user': return [user(e.user_id, world)];
    case 'usergroup': return [mention('group', '@' + world.groupName(e.usergroup_id))];
    case 'channel': return [mention('channel', '#' + world.channelName(e.channel_id))];
    case 'broadcast': return [mention('broadcast', '@' + e.range)];
    case 'emoji': return [named(e.name)];
    case 'date': return [h('time', { class: 'date' }, dateText(e.timestamp, e.format || '', e.fallback || '', world))];
  }
  return [];
}
