// Modals of the app, and confirmation dialogs.
import { h, icon } from './dom.js';
import { fillForm, readForm, renderBlocks } from './blocks.js';
import { textObject } from './text.js';

let shown = { id: '', sig: '' };

export function renderModal(box, state, world, { press, submit, close }) {
  const v = state.view;
  if (!v) {
    shown = { id: '', sig: '' };
    if (box.open) box.close();
    return;
  }
  const sig = JSON.stringify([v.id, v.hash, v.errors, v.trouble]);
  if (sig === shown.sig && box.open) return;
  const typed = shown.id === v.id && box.open ? readForm(box) : {};
  const focus = shown.id === v.id ? document.activeElement?.dataset?.actionId : '';
  box.dataset.viewId = v.id;
  box.oncancel = (ev) => { ev.preventDefault(); close(); };
  box.replaceChildren(frame(v, world, { press, submit, close }, box));
  fillForm(box, typed);
  if (!box.open) box.showModal();
  shown = { id: v.id, sig };
  const wanted = (focus && box.querySelector('[data-action-id="' + CSS.escape(focus) + '"]')) || box.querySelector('.invalid .field') || (!focus && (box.querySelector('[data-focus]') || box.querySelector('.field, .choices input')));
  wanted?.focus?.();
}

function frame(v, world, on, box) {
  const form = h('form', { class: 'modal-form', novalidate: true, 'data-testid': 'modal' },
    h('header', { class: 'modal-head' }, h('h2', { id: 'modal-title' }, v.title), h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close', onclick: on.close }, icon('close'))),
    h('div', { class: 'modal-body' },
      v.trouble && h('p', { class: 'trouble', role: 'alert' }, v.trouble),
      renderBlocks(v.blocks, { world, values: v.values, errors: v.errors, act: (b, e, val, c) => on.press(v.id, b, e, val, c) })),
    h('footer', { class: 'modal-foot' },
      h('button', { type: 'button', class: 'button', 'data-testid': 'modal-close', onclick: on.close }, v.close || 'Cancel'),
      v.submit && h('button', { type: 'submit', class: 'button button-primary', 'data-testid': 'modal-submit' }, v.submit)));
  form.addEventListener('submit', async (ev) => {
    ev.preventDefault();
    const go = form.querySelector('[data-testid=modal-submit]');
    if (!go || go.disabled) return;
    go.disabled = true;
    form.setAttribute('aria-busy', 'true');
    await on.submit(v.id, readForm(box));
    go.disabled = false;
    form.removeAttribute('aria-busy');
  });
  return form;
}

// askConfirm shows the confirmation dialog of an element; true means yes.
export function askConfirm(c, world, style) {
  const box = document.getElementById('confirm');
  return new Promise((resolve) => {
    const end = (yes) => { box.close(); resolve(yes); };
    box.oncancel = (ev) => { ev.preventDefault(); end(false); };
    box.replaceChildren(h('div', { class: 'modal-form' },
      h('header', { class: 'modal-head' }, h('h2', { id: 'confirm-title' }, textObject(c.title, world))),
      h('div', { class: 'modal-body' }, h('div', { class: 'text' }, textObject(c.text, world))),
      h('footer', { class: 'modal-foot' },
        h('button', { type: 'button', class: 'button', 'data-testid': 'confirm-no', onclick: () => end(false) }, textObject(c.deny, world)),
        h('button', { type: 'button', class: 'button button-' + (c.style || style || 'primary'), 'data-testid': 'confirm-yes', onclick: () => end(true) }, textObject(c.confirm, world)))));
    box.showModal();
  });
}
