// Sets the theme before the page is drawn. console.js lets the user choose it.
"use strict";
try {
  const theme = localStorage.getItem("phpgw-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser without storage follows the system.
}
