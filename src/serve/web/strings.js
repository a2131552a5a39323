// The words of the pages. A translation is another file of strings, and its language in this list.
const LANGUAGES = ["en"];

let strings = {};

/** Loads the words in the language that the browser prefers, and puts them into the page. */
export async function loadStrings() {
  const wanted = navigator.languages.map((tag) => tag.split("-")[0]);
  const language = wanted.find((tag) => LANGUAGES.includes(tag)) ?? LANGUAGES[0];
  const response = await fetch(`/assets/strings.${language}.json`);
  strings = await response.json();
  document.documentElement.lang = strings.language;
  document.documentElement.dir = strings.direction;
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t);
  }
}

/** The text called `key`, with `{name}` replaced by values. */
export function t(key, values = {}) {
  const text = strings[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}
