// Block Kit as DOM nodes, for messages, modals and the home.
import { h } from './dom.js';
import { markdown, richText, textObject } from './text.js';

// renderBlocks draws blocks. ctx: world (names), act(block, element, value) for
// elements outside of a form, values and errors for inputs.
export function renderBlocks(blocks, ctx) {
  return (blocks || []).map((b) => {
    let el;
    try {
      el = renderBlock(b, ctx);
    } catch (err) { // one odd block must not take the whole page with it
      el = h('div', { class: 'b-unknown' }, 'A block cannot be shown: ' + err.message);
    }
    el.classList.add('block');
    el.dataset.blockId = b.block_id || '';
    el.dataset.blockType = b.type;
    return el;
  });
}

function renderBlock(b, ctx) {
  switch (b.type) {
    case 'header': return h('div', { class: 'b-header', role: 'heading', 'aria-level': '3' }, textObject(b.text, ctx.world));
    case 'divider': return h('div', { class: 'b-divider', role: 'separator' });
    case 'section': return section(b, ctx);
    case 'context': return h('div', { class: 'b-context' }, (b.elements || []).map((e) => (e.type === 'image' ? picture(e, 'b-context-image') : h('span', {}, textObject(e, ctx.world)))));
    case 'actions': return h('div', { class: 'b-actions' }, (b.elements || []).map((e) => element(b, e, ctx)));
    case 'input': return input(b, ctx);
    case 'image': return h('figure', { class: 'b-image' }, b.title && h('figcaption', {}, textObject(b.title, ctx.world)), picture(b, 'picture'));
    case 'markdown': return markdown(b.text, ctx.world);
    case 'rich_text': return h('div', { class: 'b-rich' }, richText(b, ctx.world));
    case 'table': return table(b, ctx);
    default: return h('div', { class: 'b-unknown' }, 'A block of type “' + b.type + '” is not shown here.');
  }
}

function section(b, ctx) {
  const body = h('div', { class: 'b-section-body' });
  if (b.text) body.append(h('div', { class: 'text' }, textObject(b.text, ctx.world)));
  if (b.fields) body.append(h('div', { class: 'b-fields' }, b.fields.map((f) => h('div', { class: 'text' }, textObject(f, ctx.world)))));
  return h('div', { class: 'b-section' }, body, b.accessory && h('div', { class: 'b-accessory' }, element(b, b.accessory, ctx)));
}

// picture shows images of this server; the page loads nothing from elsewhere.
function picture(e, cls) {
  const url = String(e.image_url || '');
  if (url.startsWith('/') || url.startsWith(location.origin + '/') || url.startsWith('data:image/')) {
    return h('img', { src: url, alt: e.alt_text || '', class: cls });
  }
  return h('span', { class: 'picture-missing' }, e.alt_text || 'picture');
}

function table(b, ctx) {
  const cell = (c) => (c.type === 'rich_text' ? richText(c, ctx.world) : String(c.text ?? c.value ?? ''));
  const align = (i) => ((b.column_settings || [])[i] || {}).align;
  const row = (cells, tag) => h('tr', {}, cells.map((c, i) => h(tag, { class: align(i) ? 'align-' + align(i) : null }, cell(c))));
  const rows = b.rows || [];
  return h('div', { class: 'b-table', tabindex: '0' }, h('table', {}, h('thead', {}, rows.slice(0, 1).map((r) => row(r, 'th'))), h('tbody', {}, rows.slice(1).map((r) => row(r, 'td')))));
}

// element draws an interactive element outside of an input block.
function element(b, e, ctx) {
  const marks = { 'data-action-id': e.action_id, 'data-block-id': b.block_id };
  switch (e.type) {
    case 'image': return picture(e, 'b-accessory-image');
    case 'button': case 'workflow_button':
      return h('button', {
        type: 'button', class: 'button' + (e.style ? ' button-' + e.style : ''), ...marks, 'data-value': e.value, 'aria-label': e.accessibility_label,
        onclick: (ev) => {
          if (e.url && /^https?:/i.test(e.url)) window.open(e.url, '_blank', 'noopener');
          ctx.act(b, e, e.value, ev.currentTarget);
        },
      }, textObject(e.text, ctx.world));
  }
  const control = field(e, valueOf(b, e, ctx), ctx, marks);
  control.addEventListener('change', () => ctx.act(b, e, read(control), control));
  if (!control.getAttribute('aria-label')) control.setAttribute('aria-label', e.placeholder?.text || e.action_id);
  return control;
}

const valueOf = (b, e, ctx) => (ctx.values?.[b.block_id] || {})[e.action_id] || {};

let serial = 0;

function input(b, ctx) {
  const e = b.element || {};
  const id = 'f' + ++serial;
  const several = e.type === 'checkboxes' || e.type === 'radio_buttons';
  const error = ctx.errors?.[b.block_id];
  const about = [b.hint && id + '-hint', error && id + '-error'].filter(Boolean).join(' ');
  const control = field(e, valueOf(b, e, ctx), ctx, {
    id, 'data-focus': e.focus_on_load ? 'true' : null, 'data-action-id': e.action_id, 'data-block-id': b.block_id, 'aria-describedby': about || null, 'aria-invalid': error ? 'true' : null,
    'aria-required': b.optional ? null : 'true', 'aria-labelledby': several ? id + '-label' : null,
  });
  const label = [textObject(b.label, ctx.world), b.optional && h('span', { class: 'optional' }, ' (optional)')];
  return h('div', { class: 'b-input' + (error ? ' invalid' : ''), 'data-input': b.block_id },
    several ? h('span', { class: 'label', id: id + '-label' }, label) : h('label', { class: 'label', for: id }, label),
    control,
    error && h('p', { class: 'input-error', id: id + '-error', role: 'alert', 'data-testid': 'input-error' }, error),
    b.hint && h('p', { class: 'input-hint', id: id + '-hint' }, textObject(b.hint, ctx.world)));
}

const flatOptions = (e) => [...(e.options || []), ...(e.option_groups || []).flatMap((g) => g.options || [])];

function field(e, val, ctx, attrs) {
  const placeholder = e.placeholder?.text || '';
  switch (e.type) {
    case 'static_select': case 'external_select':
      return select(flatOptions(e).map((o) => [o.value, o.text.text]), val.selected_option?.value, placeholder, attrs);
    case 'users_select':
      return select(ctx.world.people().map((u) => [u.id, u.real_name]), val.selected_user, placeholder, attrs);
    case 'conversations_select': case 'channels_select':
      return select(ctx.world.channels().map((c) => [c.id, '#' + c.name]), val.selected_conversation || val.selected_channel, placeholder, attrs);
    case 'checkboxes': return choices(e, 'checkbox', (val.selected_options || []).map((o) => o.value), ctx, attrs);
    case 'radio_buttons': return choices(e, 'radio', val.selected_option ? [val.selected_option.value] : [], ctx, attrs);
    case 'overflow': return select((e.options || []).map((o) => [o.value, o.text.text]), '', 'More…', attrs);
    case 'multi_static_select': return choices(e, 'checkbox', (val.selected_options || []).map((o) => o.value), ctx, attrs);
  }
  const text = val.value ?? '';
  if (e.type === 'plain_text_input' && e.multiline) {
    const area = h('textarea', { class: 'field', rows: '3', placeholder, ...attrs });
    area.value = text;
    return area;
  }
  const kind = { email_text_input: 'email', url_text_input: 'url', number_input: 'number', datepicker: 'date', timepicker: 'time' }[e.type] || 'text';
  const box = h('input', { class: 'field', type: kind, placeholder, autocomplete: 'off', ...attrs });
  box.value = val.selected_date || val.selected_time || text;
  return box;
}

function select(options, chosen, placeholder, attrs) {
  const el = h('select', { class: 'field', ...attrs },
    (placeholder || !chosen) && h('option', { value: '' }, placeholder || 'Choose…'), options.map(([v, label]) => h('option', { value: v }, label)));
  el.value = chosen || '';
  return el;
}

function choices(e, kind, chosen, ctx, attrs) {
  const group = 'g' + ++serial;
  return h('div', { class: 'choices', role: kind === 'radio' ? 'radiogroup' : 'group', ...attrs }, flatOptions(e).map((o) =>
    h('label', { class: 'choice' },
      h('input', { type: kind, name: group, value: o.value, checked: chosen.includes(o.value) }),
      h('span', {}, textObject(o.text, ctx.world), o.description && h('span', { class: 'choice-note' }, textObject(o.description, ctx.world))))));
}

// read is what is filled into a control: a string, or a list for checkboxes.
export function read(control) {
  if (!control.classList.contains('choices')) return control.value;
  const on = [...control.querySelectorAll('input:checked')].map((i) => i.value);
  return control.getAttribute('role') === 'radiogroup' ? on[0] || '' : on;
}

// readForm collects every input below root: block id, action id, value.
export function readForm(root) {
  const out = {};
  for (const box of root.querySelectorAll('[data-input]')) {
    const control = box.querySelector('[data-action-id]');
    (out[box.dataset.input] ||= {})[control.dataset.actionId] = read(control);
  }
  return out;
}

// fillForm puts values that were typed before back into a form.
export function fillForm(root, values) {
  for (const box of root.querySelectorAll('[data-input]')) {
    const control = box.querySelector('[data-action-id]');
    const was = values[box.dataset.input]?.[control.dataset.actionId];
    if (was === undefined) continue;
    if (!control.classList.contains('choices')) control.value = was;
    else for (const i of control.querySelectorAll('input')) i.checked = [].concat(was).includes(i.value);
  }
}
