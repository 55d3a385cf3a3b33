// The one way in which this page makes elements: whatever comes from outside goes in as text, never as markup.

/** Make an element with these attributes; children are elements or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Set the text, where it is another one: what a screen reader has said is not said again. */
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
