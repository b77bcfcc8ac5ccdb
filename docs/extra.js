// What readers who use the keyboard or a screen reader need, and the theme leaves out.
window.addEventListener("load", () => setTimeout(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  for (const wide of document.querySelectorAll(".md-typeset__scrollwrap")) wide.tabIndex = 0;
}, 100));
