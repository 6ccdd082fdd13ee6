// The left side: channels, the app, and who one is acting as.
import { h, icon, initials, keyed } from './dom.js';

export function avatar(user, small) {
  const cls = 'avatar' + (small ? ' avatar-small' : '') + (user?.bot ? ' avatar-bot' : ' hue-' + ((user?.index || 0) % 6));
  return h('span', { class: cls, 'aria-hidden': 'true' }, user?.bot ? icon(user.name === 'jwksbot' ? 'bolt' : 'app') : initials(user?.real_name || '?'));
}

export function renderSidebar($, state, ui, { go, become, unread }) {
  $('workspace-name').textContent = state.workspace;
  $('world-note').textContent = state.note;
  $('world-note').hidden = !state.note;
  const channels = state.channels.filter((c) => !c.im).map((c) => {
    const on = !ui.app && c.id === ui.channel;
    const fresh = unread(c);
    return { key: c.id, sig: JSON.stringify([c.name, c.archived, on, fresh]), data: { c, on, fresh } };
  });
  keyed($('channels'), channels, ({ c, on, fresh }) =>
    entry(c.private ? 'lock' : 'hash', c.name, on, fresh, { 'data-channel': c.id, class: c.archived ? 'archived' : '' }, () => go(c.id, false)));
  const fresh = unread(state.channels.find((c) => c.im));
  const app = [{ key: 'app', sig: String([ui.app, state.connected, fresh]), data: ui.app }];
  keyed($('apps'), app, (on) => {
    const el = entry('bolt', 'jwksbot', on, fresh, { 'data-testid': 'app-home' }, () => go('', true));
    const word = state.connected ? 'connected' : 'not connected';
    el.firstChild.append(h('span', { class: 'presence', 'data-connected': String(state.connected), role: 'img', 'aria-label': word, title: word }));
    return el;
  });
  const people = state.users.filter((u) => !u.bot).map((u) => ({ key: u.id, sig: String(u.id === ui.as), data: u }));
  keyed($('as-user'), people, (u) => person(u, u.id === ui.as, become));
}

function entry(sign, name, on, fresh, attrs, onclick) {
  const cls = 'channel ' + (attrs.class || '') + (fresh ? ' unread' : '');
  return h('li', {}, h('button', { type: 'button', ...attrs, class: cls, 'aria-current': on ? 'page' : null, 'aria-label': fresh ? name + ', unread' : null, onclick }, icon(sign), h('span', {}, name)));
}

function person(u, on, become) {
  const move = (ev) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[ev.key];
    if (!step) return;
    ev.preventDefault();
    const all = [...ev.currentTarget.parentElement.children];
    const next = all[(all.indexOf(ev.currentTarget) + step + all.length) % all.length];
    next.focus();
    next.click();
  };
  return h('button', {
    type: 'button', class: 'person', role: 'radio', 'aria-checked': String(on), tabindex: on ? '0' : '-1', 'data-as': u.id, onclick: () => become(u.id), onkeydown: move,
  }, avatar(u, true), h('span', { class: 'person-text' }, h('span', { class: 'person-name' }, u.real_name), h('span', { class: 'person-role' }, u.caption)));
}
