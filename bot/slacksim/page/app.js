// The page: fetches what the acting person sees whenever the workspace says
// that something changed, and draws it.
import { h, icon, keyed, stick } from './dom.js';
import { renderMessages } from './messages.js';
import { renderBlocks } from './blocks.js';
import { composer } from './composer.js';
import { askConfirm, renderModal } from './modal.js';
import { startDrill } from './drill.js';
import { renderSidebar } from './sidebar.js';

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const ui = {
  as: query.get('as') || sessionStorage.getItem('as') || '',
  wanted: query.get('channel') || sessionStorage.getItem('channel') || '', // the channel that was chosen
  channel: '', // the channel that is shown
  thread: query.get('thread') || '',
  mark: query.get('ts') || '',
  app: query.has('home'), // the app's own view instead of a channel
  tab: 'home',
};
let state = null;
let drawn = ''; // what the message list shows, to know when to scroll to its end
let threadDrawn = '';
const main = stick($('messages'));
const side = stick($('thread-messages'));

// world is what renderers may ask about names and time.
const world = {
  now: () => (state ? state.now + (Date.now() - state.fetched) : Date.now()),
  user: (id) => state.users.find((u) => u.id === id),
  userName: (id) => world.user(id)?.real_name || id,
  channelName: (id) => state.channels.find((c) => c.id === id)?.name || id,
  groupName: (id) => state.groups.find((g) => g.id === id)?.handle || id,
  me: () => ui.as,
  people: () => state.users.filter((u) => !u.bot),
  channels: () => state.channels.filter((c) => !c.im),
};

export function toast(text, kind = 'bad') {
  const el = h('div', { class: 'toast toast-' + kind, 'data-testid': 'toast' }, text);
  $('toasts').append(el);
  setTimeout(() => el.remove(), 8000);
}

const meanings = {
  operation_timeout: 'The app did not answer within three seconds (operation_timeout).',
  dispatch_failed: 'The app is not connected (dispatch_failed).',
};

async function act(kind, more) {
  try {
    const r = await fetch('/ui/act', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ kind, as: ui.as, channel: ui.channel, ...more }) });
    const answer = await r.json();
    if (!answer.ok) toast(meanings[answer.error] || answer.error);
    return answer.ok;
  } catch (err) {
    toast('The workspace does not answer: ' + err.message);
    return false;
  }
}

// press handles an element of a message, a modal or the home.
async function press(kind, where, block, element, value, control) {
  if (element.confirm && !(await askConfirm(element.confirm, world, element.style))) return;
  control?.setAttribute('aria-busy', 'true');
  await act(kind, { ...where, block: block.block_id, action: element.action_id, value });
  control?.removeAttribute('aria-busy');
}

let fetching = false;
let again = false;

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const as = ui.as;
    const r = await fetch('/ui/state?as=' + encodeURIComponent(as), { cache: 'no-store' });
    const fresh = await r.json();
    if (ui.as === as) {
      state = fresh;
      state.fetched = Date.now();
      state.users.forEach((u, i) => { u.index = i; });
      ui.as = state.as;
      draw();
    } else {
      again = true; // this is what somebody else sees: the person was changed meanwhile
    }
  } catch {
    // The event stream reports that the connection is gone.
  }
  fetching = false;
  if (again) {
    again = false;
    refresh();
  }
}

function current() {
  return state.channels.find((c) => c.id === ui.wanted && !c.im) || state.channels.find((c) => !c.im && !c.archived);
}

function draw() {
  const channel = ui.app ? state.channels.find((c) => c.im) : current();
  ui.channel = channel?.id || '';
  sessionStorage.setItem('as', ui.as);
  sessionStorage.setItem('channel', ui.wanted);
  document.title = (ui.app ? 'jwksbot' : '#' + (channel?.name || '')) + ' · ' + state.workspace;
  renderSidebar($, state, ui, { go, become, unread });
  drawBar(channel);
  drawMain(channel);
  drawThread(channel);
  renderModal($('modal'), state, world, {
    press: (view, b, e, v, c) => press('view_click', { view }, b, e, v, c),
    submit: (view, values) => act('submit', { view, values }),
    close: () => act('close', {}),
  });
}

// unread tells whether something came since the person last looked; what was
// there before the page was opened counts as read.
const seen = {};

function unread(channel) {
  const last = (state.messages[channel?.id] || []).at(-1)?.ts || '';
  const key = ui.as + channel?.id;
  if (!(key in seen) || (channel && channel.id === ui.channel && !(ui.app && ui.tab === 'home'))) seen[key] = last;
  return last > seen[key];
}

function drawBar(channel) {
  $('channel-name').replaceChildren(...(ui.app ? [icon('app'), 'jwksbot'] : [icon(channel?.private ? 'lock' : 'hash'), channel?.name || 'no channel']));
  $('channel-topic').textContent = ui.app ? 'Targets, pending approvals and recent runs' : channel?.topic || '';
  const note = ui.app || !channel ? '' : channel.archived ? 'archived' : channel.shared ? 'shared with another organisation' : channel.bot ? '' : 'jwksbot is not a member';
  $('channel-note').textContent = note;
  $('channel-note').hidden = !note;
  $('tabs').hidden = !ui.app;
  keyed($('tabs'), ['home', 'messages'].map((t) => ({ key: t, sig: String(ui.tab === t), data: t })), (t) =>
    h('button', { type: 'button', role: 'tab', class: 'tab', 'aria-selected': String(ui.tab === t), 'data-tab': t, onclick: () => { ui.tab = t; draw(); } }, t[0].toUpperCase() + t.slice(1)));
  $('composer').placeholder = ui.app ? 'Message jwksbot' : 'Message #' + (channel?.name || '') + ' or type / for a command';
  $('composer-form').hidden = !channel || channel.archived || (ui.app && ui.tab === 'home');
}

function drawMain(channel) {
  const box = $('messages');
  const showing = ui.as + ui.channel + ui.app + ui.tab;
  if (ui.app && ui.tab === 'home') {
    drawHome(box);
  } else {
    box.querySelector('.home')?.remove();
    renderMessages(box, (state.messages[ui.channel] || []).filter((m) => !m.reply), context(channel), channel);
    if (drawn !== showing) main.toEnd();
    else main.follow();
    if (ui.mark) {
      main.release();
      box.querySelector('[data-ts="' + CSS.escape(ui.mark) + '"]')?.scrollIntoView({ block: 'center' });
      ui.mark = '';
    }
  }
  drawn = showing;
}

function drawHome(box) {
  const home = state.home;
  const items = [{ key: 'home', sig: home ? home.hash : 'none', data: home }];
  keyed(box, items, (v) => h('div', { class: 'home', 'data-testid': 'home' }, v
    ? renderBlocks(v.blocks, { world, values: v.values, act: (b, e, val, c) => press('view_click', { view: v.id }, b, e, val, c) })
    : h('p', { class: 'empty' }, 'jwksbot has not published its home yet.')));
}

function context(channel) {
  return {
    world, state, ui,
    act: (m) => (b, e, v, c) => press('click', { ts: m.ts }, b, e, v, c),
    openThread: (ts) => { ui.thread = ts; draw(); $('thread-composer').focus(); },
    shortcut: (m, s) => act('shortcut', { ts: m.ts, callback: s.callback_id }),
    canReply: channel && !channel.archived,
  };
}

function drawThread(channel) {
  const parent = (state.messages[ui.channel] || []).find((m) => m.ts === ui.thread);
  $('thread').hidden = !parent;
  document.body.classList.toggle('has-thread', Boolean(parent));
  if (!parent) {
    threadDrawn = '';
    return;
  }
  $('thread-where').textContent = (ui.app ? '' : '#') + (channel?.name || 'jwksbot');
  const replies = (state.messages[ui.channel] || []).filter((m) => m.reply && m.thread_ts === ui.thread);
  const box = $('thread-messages');
  renderMessages(box, [parent, ...replies], { ...context(channel), inThread: true });
  if (threadDrawn !== ui.thread) side.toEnd();
  else side.follow();
  threadDrawn = ui.thread;
}

function go(channel, app) {
  ui.app = app;
  if (!app) ui.wanted = channel;
  ui.thread = '';
  if (app) act('home', {});
  draw();
}

function become(user) {
  if (user === ui.as) return;
  ui.as = user;
  refresh().then(() => { if (ui.app) act('home', {}); });
}

function listen() {
  const events = new EventSource('/ui/events');
  const link = $('link-state');
  events.onmessage = () => { link.textContent = ''; refresh(); };
  events.onerror = () => { link.textContent = 'reconnecting…'; };
}

for (const [id, name] of [['send', 'send'], ['thread-send', 'send'], ['thread-close', 'close']]) $(id).append(icon(name));
$('thread-close').addEventListener('click', () => { ui.thread = ''; draw(); $('composer').focus(); });
composer($('composer-form'), $('composer'), $('suggestions'), () => state?.commands || [], (text) => act('say', { text }));
composer($('thread-form'), $('thread-composer'), null, () => [], (text) => act('say', { text, thread: ui.thread }));
if (query.has('home')) refresh().then(() => act('home', {}));
else refresh();
listen();
startDrill($('drill'), () => state?.panel, world, toast);
