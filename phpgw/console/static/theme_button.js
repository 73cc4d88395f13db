// A button that goes through the themes: the system's, light, dark.

const THEMES = ["system", "light", "dark"];

export function startThemeButton(button) {
  show(button, current());
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("phpgw-theme", next);
    } catch {
      // It lasts until the page is left.
    }
    show(button, next);
  });
}

function current() {
  return document.documentElement.dataset.theme ?? "system";
}

function show(button, theme) {
  button.textContent = `Theme: ${theme}`;
}
