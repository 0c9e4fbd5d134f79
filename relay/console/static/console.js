// The console works without this script; it makes the menu fold on a phone.
"use strict";

const menu = document.querySelector("details.menu");
const narrow = window.matchMedia("(max-width: 52rem)");

function foldMenu() {
  if (menu) menu.open = !narrow.matches;
}

foldMenu();
narrow.addEventListener("change", foldMenu);
