// Judging by keyboard: b, n, u send the form; 1 to 4 choose the profile class.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input:not([type=radio]):not([type=checkbox]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const form = document.getElementById("judge");
  if (!form) return;
  const button = form.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  const classes = form.querySelectorAll("input[name=profile_class]");
  if (button) form.requestSubmit(button);
  else if (/^[1-4]$/.test(event.key)) classes[Number(event.key) - 1].checked = true;
  else return;
  event.preventDefault();
});
