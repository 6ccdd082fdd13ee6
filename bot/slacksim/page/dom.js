// Building of elements. Everything that a message brings goes through text
// nodes and setAttribute; nothing here parses markup.

export function h(tag, attrs = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? '' : value);
  }
  el.append(...children.flat(9).filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

const paths = {
  hash: 'M6 2 4.5 14M11.500 2 10 14M2.500 5.500h11.500M2 10.500h11.500',
  lock: 'M4 7h8v6.500H4zM5.500 7V5a2.500 2.500 0 0 1 5 0v2',
  close: 'M3.500 3.500l9 9M12.500 3.500l-9 9',
  send: 'M2.500 8h10M8.500 3.500 13 8l-4.500 4.500',
  thread: 'M3 3h10v7.500H7.500L4.500 13v-2.500H3z',
  bolt: 'M9 1.500 3.500 9H8l-1 5.500L12.500 7H8z',
  eye: 'M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8zM8 6.300a1.700 1.700 0 1 0 0 3.400 1.700 1.700 0 0 0 0-3.400z',
  app: 'M2.500 2.500h4.500v4.500H2.500zM9 2.500h4.500v4.500H9zM2.500 9h4.500v4.500H2.500zM9 9h4.500v4.500H9z',
  link: 'M6.500 9.500l3-3M7 4.500l1.500-1.500a3.200 3.200 0 0 1 4.500 4.500L11.500 9M9 11.500 7.500 13A3.200 3.200 0 0 1 3 8.500L4.500 7',
};

export function icon(name) {
  const s = svg('svg', { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true', focusable: 'false' });
  s.append(svg('path', { d: paths[name] }));
  return s;
}

export function svg(tag, attrs = {}) {
  const el = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attrs)) el.setAttribute(name, value);
  return el;
}

// keyed makes the children of box equal to items, and leaves alone those whose
// signature is the same, so that focus and open menus survive.
export function keyed(box, items, build) {
  const old = new Map([...box.children].map((c) => [c.dataset.key, c]));
  let at = box.firstElementChild;
  for (const { key, sig, data } of items) {
    let el = old.get(key);
    old.delete(key);
    if (!el || el.dataset.sig !== sig) {
      const fresh = build(data);
      fresh.dataset.key = key;
      fresh.dataset.sig = sig;
      if (el) {
        if (at === el) at = fresh;
        const focus = el.contains(document.activeElement) ? document.activeElement.dataset.actionId || '' : null;
        el.replaceWith(fresh);
        if (focus !== null) refocus(fresh, focus);
      }
      el = fresh;
    }
    if (el === at) at = at.nextElementSibling;
    else box.insertBefore(el, at);
  }
  for (const gone of old.values()) gone.remove();
}

// refocus gives the focus to what took the place of the element that had it.
function refocus(el, actionId) {
  const same = actionId && el.querySelector('[data-action-id="' + CSS.escape(actionId) + '"]');
  if (!same) el.tabIndex = -1;
  (same || el).focus({ preventScroll: true });
}

export function initials(name) {
  return name.split(/[\s.-]+/).filter(Boolean).map((w) => w[0]).slice(0, 2).join('').toUpperCase();
}

// stick keeps a scrolled box at its end while it is there, whatever grows in it
// or around it, and leaves it alone once somebody scrolled up.
export function stick(box) {
  let atEnd = true;
  const follow = () => { if (atEnd) box.scrollTop = box.scrollHeight; };
  let last = 0;
  box.addEventListener('scroll', () => {
    // Growth below also fires this; only moving up means that somebody scrolled.
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 60) atEnd = true;
    else if (box.scrollTop < last - 2) atEnd = false;
    last = box.scrollTop;
  });
  box.addEventListener('load', follow, true); // pictures
  new ResizeObserver(follow).observe(box);
  return { follow, toEnd: () => { atEnd = true; follow(); }, release: () => { atEnd = false; } };
}
