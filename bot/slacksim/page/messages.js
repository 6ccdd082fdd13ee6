// The message list of a channel or a thread.
import { h, icon, keyed } from './dom.js';
import { mrkdwn } from './text.js';
import { renderBlocks } from './blocks.js';
import { avatar } from './sidebar.js';

const dateOf = (ts) => new Date(Number(ts) * 1000);
const clock = (ts) => dateOf(ts).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayOf = (ts) => dateOf(ts).toLocaleDateString('en-GB', { weekday: 'long', day: 'numeric', month: 'long' });

export function renderMessages(box, messages, ctx, channel) {
  const items = [];
  if (channel) items.push({ key: 'start', sig: channel.id + ctx.ui.as, data: { start: channel } });
  let before = null;
  for (const m of messages) {
    if (!ctx.inThread && (!before || dayOf(before.ts) !== dayOf(m.ts))) items.push({ key: 'day-' + m.ts, sig: '', data: { day: dayOf(m.ts) } });
    const compact = before && before.user === m.user && before.private === m.private && m.ts - before.ts < 300 && !before.replies && dayOf(before.ts) === dayOf(m.ts);
    items.push({ key: m.ts, sig: JSON.stringify([m, compact, ctx.ui.as, ctx.inThread]), data: { m, compact } });
    if (ctx.inThread && m === messages[0]) items.push({ key: 'count', sig: String(messages.length), data: { count: messages.length - 1 } });
    before = ctx.inThread && m === messages[0] ? null : m;
  }
  keyed(box, items, (d) => {
    if (d.start) return beginning(d.start, ctx);
    if (d.day) return h('div', { class: 'day', role: 'separator' }, h('span', {}, d.day));
    if (d.count !== undefined) return h('div', { class: 'day' }, h('span', {}, d.count === 1 ? '1 reply' : d.count + ' replies'));
    return message(d.m, d.compact, ctx);
  });
}

function beginning(channel, ctx) {
  if (channel.im) return h('div', { class: 'beginning' }, h('p', {}, 'Private messages from jwksbot to you.'));
  return h('div', { class: 'beginning' },
    h('h2', {}, 'This is the start of #' + channel.name),
    h('p', {}, channel.bot ? 'jwksbot is in this channel. Type one of its commands below:' : 'jwksbot is not a member here. Its commands work all the same:'),
    h('dl', {}, ctx.state.commands.flatMap((c) => [h('dt', {}, h('code', {}, c.command)), h('dd', {}, c.description)])),
    h('p', { class: 'muted' }, 'Switch persons at the lower left to approve, to refuse, or to see what others see.'));
}

function message(m, compact, ctx) {
  const user = ctx.world.user(m.user);
  const body = h('div', { class: 'message-body' });
  if (m.private) body.append(h('p', { class: 'only-you' }, icon('eye'), 'Only visible to you'));
  if (!compact) {
    body.append(h('p', { class: 'who' }, h('span', { class: 'author' }, user?.real_name || m.user), user?.bot && h('span', { class: 'badge' }, 'APP'),
      h('time', { class: 'at', datetime: dateOf(m.ts).toISOString(), title: dateOf(m.ts).toLocaleString('en-GB') }, clock(m.ts)), edited(m)));
  }
  body.append(h('div', { class: 'content' }, content(m, ctx), compact && edited(m)));
  const attrs = {
    class: 'message' + (compact ? ' compact' : '') + (m.private ? ' private' : ''), 'data-ts': m.ts, 'data-user': m.user, 'data-private': m.private ? 'true' : null,
    'data-testid': m.private ? 'ephemeral' : 'message', 'data-edits': m.edits,
  };
  return h('article', attrs, compact ? h('span', { class: 'gutter' }, clock(m.ts)) : avatar(user), body, toolbar(m, ctx));
}

const edited = (m) => m.edits > 0 && h('span', { class: 'edited', title: m.edits + (m.edits === 1 ? ' update' : ' updates') }, '(edited)');

function content(m, ctx) {
  const out = m.blocks.length ? renderBlocks(m.blocks, { world: ctx.world, act: ctx.act(m) }) : [h('div', { class: 'text' }, mrkdwn(m.text, ctx.world))];
  for (const f of m.files) out.push(file(f));
  if (m.reactions.length) out.push(h('p', { class: 'reactions' }, m.reactions.map((r) => h('span', { class: 'reaction' }, mrkdwn(':' + r + ':', ctx.world), ' 1'))));
  if (m.replies && !ctx.inThread) {
    out.push(h('button', { type: 'button', class: 'replies', 'data-testid': 'open-thread', onclick: () => ctx.openThread(m.ts) }, icon('thread'), m.replies === 1 ? '1 reply' : m.replies + ' replies'));
  }
  return out;
}

function file(f) {
  const url = '/ui/files/' + encodeURIComponent(f.id);
  const name = f.title || f.name;
  if (f.picture) {
    return h('figure', { class: 'file' }, h('figcaption', {}, name), h('a', { href: url, target: '_blank', rel: 'noopener' }, h('img', { src: url, alt: f.alt || name, class: 'picture' })));
  }
  return h('p', { class: 'file' }, h('a', { href: url, target: '_blank', rel: 'noopener' }, icon('link'), name), h('span', { class: 'muted' }, ' ' + f.size + ' bytes'));
}

function toolbar(m, ctx) {
  if (m.private || !ctx.canReply) return null;
  const label = (name, text) => [icon(name), h('span', {}, text)];
  return h('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Message actions' },
    !ctx.inThread && h('button', { type: 'button', 'data-testid': 'reply', onclick: () => ctx.openThread(m.ts) }, label('thread', 'Reply')),
    ctx.state.shortcuts.map((s) => h('button', { type: 'button', 'data-callback-id': s.callback_id, onclick: () => ctx.shortcut(m, s) }, label('bolt', s.name))));
}
