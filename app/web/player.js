// The one player of the page: a click on a moment plays it, a new answer waits at its first moment.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  let shown = null; // what the player is on: the dataset of the moment that was opened last
  let lastCue = "";
  let turns = 0;

  function timecode(seconds) {
    const whole = Math.floor(seconds);
    const pad = (value) => String(value).padStart(2, "0");
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
  }

  function open(moment, andPlay) {
    const video = byId("playhead-video");
    const source = `/api/v1/media/${encodeURIComponent(moment.playheadVideo)}`;
    shown = { ...moment };
    const seek = () => {
      video.currentTime = Number(moment.playheadSeconds);
      drawTrack();
      if (andPlay) video.play().catch(() => {}); // a browser that forbids it leaves the picture waiting
    };
    video.closest(".stage").classList.add("open");
    byId("playhead-title").textContent = moment.playheadTitle;
    byId("playhead-time").textContent = timecode(Number(moment.playheadSeconds));
    markCurrent();
    if (video.getAttribute("src") !== source) {
      video.onloadedmetadata = seek;
      video.ontimeupdate = moveNeedle;
      video.onerror = () => {
        byId("playhead-time").textContent = "This browser cannot play the file";
      };
      video.src = source;
    } else if (video.readyState) seek();
    else video.onloadedmetadata = seek;
  }

  function moveNeedle() {
    const video = byId("playhead-video");
    const needle = byId("playhead-track").querySelector(".needle");
    byId("playhead-time").textContent = timecode(video.currentTime);
    if (needle && video.duration) needle.style.left = `${(100 * video.currentTime) / video.duration}%`;
  }

  // Where the moments of this answer lie in the video that is open.
  function drawTrack() {
    const video = byId("playhead-video");
    const track = byId("playhead-track");
    track.replaceChildren();
    if (!shown || !Number.isFinite(video.duration)) return;
    for (const card of document.querySelectorAll("#evidence button.card")) {
      const moment = card.dataset;
      if (moment.playheadVideo !== shown.playheadVideo) continue;
      const span = document.createElement("button");
      span.type = "button";
      span.className = card.classList.contains("cited") ? "span cited" : "span";
      for (const key of ["Video", "Title", "Seconds", "Start", "End"]) span.dataset[`playhead${key}`] = moment[`playhead${key}`];
      span.setAttribute("aria-label", card.getAttribute("aria-label"));
      const [start, end] = [Number(moment.playheadStart), Math.min(Number(moment.playheadEnd), video.duration)];
      span.style.left = `${(100 * start) / video.duration}%`;
      span.style.width = `${(100 * Math.max(end - start, 0)) / video.duration}%`;
      track.append(span);
    }
    const needle = document.createElement("i");
    needle.className = "needle";
    track.append(needle);
    moveNeedle();
  }

  function markCurrent() {
    for (const opener of document.querySelectorAll("[data-playhead-video]")) {
      const { playheadVideo, playheadSeconds } = opener.dataset;
      const same = shown && playheadVideo === shown.playheadVideo && playheadSeconds === shown.playheadSeconds;
      if (same) opener.setAttribute("aria-current", "true");
      else opener.removeAttribute("aria-current");
    }
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-playhead-video]");
    if (!opener) return;
    open(opener.dataset, true);
    if (window.matchMedia("(max-width: 900px)").matches) window.scrollTo({ top: 0, behavior: "smooth" });
  });

  // Gradio rewrites the conversation and the cards in place; the page is read again after each change.
  new MutationObserver(() => {
    const articles = document.querySelectorAll("#conversation .turn");
    if (articles.length > turns) articles[articles.length - 1].scrollIntoView({ block: "start" });
    turns = articles.length;
    const cue = document.querySelector("#evidence [data-playhead-cue]");
    if (!cue || cue.dataset.playheadCue === lastCue) return;
    lastCue = cue.dataset.playheadCue;
    byId("playhead-video").pause();
    open(cue.dataset, false);
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-playhead-cue"] });
})();
