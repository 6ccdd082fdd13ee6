// The box in which people type, with completion of slash commands.
import { h } from './dom.js';

export function composer(form, box, suggestions, commands, send) {
  let at = 0;
  let offered = [];

  const offer = () => {
    const typed = box.value;
    offered = suggestions && /^\/\S*$/.test(typed) ? commands().filter((c) => c.command.startsWith(typed)) : [];
    const usage = suggestions && !offered.length && commands().find((c) => typed.startsWith(c.command + ' '));
    if (!suggestions) return;
    at = 0;
    suggestions.hidden = !offered.length && !usage;
    if (usage) suggestions.replaceChildren(row(usage, -1));
    else show();
  };
  const row = (c, i) => h('li', {
    role: 'option', id: 'suggestion-' + i, 'aria-selected': String(i === at), 'data-command': c.command,
    onmousedown: (ev) => { ev.preventDefault(); if (i >= 0) complete(c); },
  }, h('span', { class: 'suggestion-head' }, h('strong', {}, c.command), ' ', h('span', { class: 'usage' }, c.usage)), h('span', { class: 'suggestion-text' }, c.description));
  const show = () => {
    suggestions.replaceChildren(...offered.map(row));
    if (offered.length) box.setAttribute('aria-activedescendant', 'suggestion-' + at);
    else box.removeAttribute('aria-activedescendant');
  };
  const complete = (c) => { box.value = c.command + ' '; box.focus(); offer(); };
  const grow = () => { box.style.setProperty('height', 'auto'); box.style.setProperty('height', Math.min(box.scrollHeight, 160) + 'px'); };

  const submit = async () => {
    const text = box.value.trim();
    if (!text) return;
    box.value = '';
    offer();
    grow();
    form.setAttribute('aria-busy', 'true');
    const ok = await send(text);
    form.removeAttribute('aria-busy');
    if (!ok && !box.value && !text.startsWith('/')) box.value = text;
  };

  box.addEventListener('input', () => { offer(); grow(); });
  box.addEventListener('blur', () => { if (suggestions) suggestions.hidden = true; });
  box.addEventListener('focus', offer);
  form.addEventListener('submit', (ev) => { ev.preventDefault(); submit(); });
  let shift = false;
  // Enter sends; some senders of keys type its line break all the same.
  box.addEventListener('beforeinput', (ev) => { if (ev.inputType === 'insertLineBreak' && !shift) ev.preventDefault(); });
  box.addEventListener('keydown', (ev) => {
    shift = ev.shiftKey;
    const open = offered.length > 0 && !suggestions.hidden;
    if (open && (ev.key === 'ArrowDown' || ev.key === 'ArrowUp')) {
      at = (at + (ev.key === 'ArrowDown' ? 1 : -1) + offered.length) % offered.length;
      show();
    } else if (open && (ev.key === 'Tab' || (ev.key === 'Enter' && box.value !== offered[at].command))) {
      complete(offered[at]);
    } else if (open && ev.key === 'Escape') {
      suggestions.hidden = true;
    } else if (ev.key === 'Enter' && !ev.shiftKey && !ev.isComposing) {
      submit();
    } else {
      return;
    }
    ev.preventDefault();
  });
}
