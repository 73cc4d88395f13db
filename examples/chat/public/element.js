// What the page's parts are made of.

export const $ = (id) => document.getElementById(id);

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

export function avatar({ id, name }) {
  const made = element("span", "avatar", [...name][0].toUpperCase());
  made.style.setProperty("--hue", [...id].reduce((hue, letter) => (31 * hue + letter.charCodeAt()) % 360, 0));
  made.ariaHidden = "true";
  return made;
}
