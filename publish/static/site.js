// Small comforts of every page: Ctrl+Enter sends a query.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea[name=sql]")) {
    event.target.form.requestSubmit();
  }
});
