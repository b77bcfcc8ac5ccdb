// Buttons that send what a page shows to TOPCAT, Aladin, SPLAT and their like, by the SAMP web profile.
"use strict";
(() => {
  const ROOT = document.querySelector(".brand").getAttribute("href").replace(/\/$/, "");
  const NO_HUB = "No hub answers. Start TOPCAT or Aladin on this computer, let it accept this page, and try again.";
  let connecting = null;

  /** The connection to the hub on this computer; the library (samp.js, by M. Taylor, CC0) is fetched when first needed. */
  function connect() {
    connecting ??= library().then(() => new Promise((resolve, reject) => {
      samp.register("becat", resolve, reject);
    })).then((connection) => {
      connection.declareMetadata([{ "samp.description.text": "Classical Be stars in LAMOST spectra", "samp.icon.url": absolute(`${ROOT}/assets/icon.svg`) }]);
      connection.onclose = () => { connecting = null; };
      return connection;
    }).catch((error) => { connecting = null; throw error; });
    return connecting;
  }

  function library() {
    return new Promise((resolve, reject) => {
      if (typeof samp !== "undefined") { resolve(); return; }
      const script = document.createElement("script");
      script.src = `${ROOT}/assets/vendor/samp.js`;
      script.onload = resolve;
      script.onerror = () => reject(new Error("samp.js cannot be loaded"));
      document.head.append(script);
    });
  }

  const absolute = (address) => new URL(address, window.location.href).href;
  const ask = (connection, method, ...words) => new Promise((resolve, reject) => connection[method](words, resolve, reject));

  /** Send messages of one kind and say who took them. */
  async function send(kind, messages) {
    let connection;
    try { connection = await connect(); } catch { return NO_HUB; }
    try {
      const takers = Object.keys(await ask(connection, "getSubscribedClients", kind));
      if (!takers.length) return "A hub is running, but no program on it accepts this. Start TOPCAT, Aladin or SPLAT.";
      for (const parameters of messages) await ask(connection, "notifyAll", new samp.Message(kind, parameters));
      const names = await Promise.all(takers.map((client) => ask(connection, "getMetadata", client)));
      return `Sent to ${names.map((about, i) => about["samp.name"] || takers[i]).join(", ")}.`;
    } catch {
      connection.close();
      connecting = null;
      return NO_HUB;
    }
  }

  function button(parent, text, title, kind, messages) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "send";
    made.textContent = text;
    made.title = title;
    const said = parent.querySelector(".said") || document.createElement("span");
    said.className = "said";
    said.setAttribute("role", "status");
    made.addEventListener("click", async () => {
      made.disabled = true;
      said.textContent = "Asking the hub on this computer …";
      said.textContent = await send(kind, messages());
      made.disabled = false;
    });
    parent.append(" ", made, " ", said);
  }

  function table(link) {
    const address = absolute(link.getAttribute("href"));
    const parts = [...document.querySelector("h1").childNodes].filter((part) => part.nodeName !== "SMALL"); // not the kind of table
    const name = parts.map((part) => part.textContent).join("").trim().replace(/\s+/g, " ");
    // An identity of its own each time: TOPCAT refuses a second table of the same one.
    button(link.parentElement, "Send to TOPCAT", "The whole table to every program on this computer that accepts tables (SAMP)",
      "table.load.votable", () => [{ "table-id": `${address}#${Date.now()}`, url: address, name }]);
  }

  function spectrum(profile, name) {
    const address = absolute(`${ROOT}/ssa/spectrum/${profile.spectrum_id}.vot`);
    const mime = "application/x-votable+xml";
    return { url: address, "spectrum-id": address, name: `${name}, spectrum ${profile.spectrum_id}`,
      meta: { "Access.Reference": address, "Access.Format": mime, "DataID.Title": `H-alpha of ${name}`, "Target.Name": name } };
  }

  function star() {
    const data = document.getElementById("data");
    const place = document.querySelector(".profile-tools, .toolbar");
    const name = document.querySelector("h1.name");
    if (!data || !place || !name) return;
    const { profiles } = JSON.parse(data.textContent);
    if (profiles && profiles.length) {
      button(place, profiles.length > 1 ? `Send ${profiles.length} spectra to SPLAT` : "Send the spectrum to SPLAT",
        "The profiles to every program on this computer that accepts spectra (SAMP)",
        "spectrum.load.ssa-generic", () => profiles.map((profile) => spectrum(profile, name.textContent.trim())));
    }
    const label = [...document.querySelectorAll("dt")].find((term) => term.textContent.startsWith("Position"));
    const numbers = label && label.nextElementSibling.textContent.match(/[+-]?\d+\.\d+(?=°)/g); // degrees; hours stand behind them
    if (numbers && numbers.length === 2) {
      button(place, "Show in Aladin", "Point every program on this computer that shows the sky at this star (SAMP)",
        "coord.pointAt.sky", () => [{ ra: numbers[0], dec: numbers[1] }]);
    }
  }

  window.addEventListener("pagehide", () => { if (connecting) connecting.then((connection) => connection.close(), () => {}); });
  const link = document.querySelector('.exports a[href*=".votable"]');
  if (link) table(link);
  star();
})();
