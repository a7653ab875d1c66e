"use strict";
// The rating sheet: shows one sound at a time, keeps every answer at once, saves them as a CSV.

const { sheet, items } = JSON.parse(document.getElementById("content").textContent);
const QUESTIONS = ["a", "b", "preference", "informativeness"];
const COLUMNS = ["sheet", "rater", "item", "rating_a", "rating_b", "preference", "informativeness", "plays"];
const STORE = `sound-approach ratings ${sheet}`;
const $ = (id) => document.getElementById(id);
const [form, audio, questions] = [$("item"), $("sound"), $("questions")];

const kept = load() ?? { rater: "", at: 0, answers: {} };

function load() {
  try {
    return JSON.parse(localStorage.getItem(STORE));
  } catch {
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(kept));
    return true;
  } catch {
    $("storage").hidden = false;
    return false;
  }
}

const current = () => items[kept.at];
const answersOf = ({ item }) => (kept.answers[item] ??= { plays: 0 });
const isAnswered = (item) => QUESTIONS.every((name) => answersOf(item)[name]);

function open(index) {
  kept.at = Math.min(Math.max(index, 0), items.length - 1);
  const item = current();
  const answers = answersOf(item);
  audio.pause();
  audio.src = item.sound;
  $("position").value = 0;
  $("text-a").textContent = item.a;
  $("text-b").textContent = item.b;
  $("place").textContent = `Sound ${kept.at + 1} of ${items.length}`;
  form.reset();
  for (const name of QUESTIONS) {
    for (const input of form.elements[name]) input.checked = input.value === answers[name];
  }
  refresh();
}

function refresh() {
  keep();
  $("missing").hidden = true;
  const heard = answersOf(current()).plays > 0;
  const left = items.filter((item) => !isAnswered(item)).length;
  questions.disabled = !heard;
  $("first").hidden = heard;
  $("done").value = items.length - left;
  $("back").disabled = kept.at === 0;
  $("next").textContent = kept.at === items.length - 1 ? "Finish" : "Next";
  $("unanswered").hidden = left === 0;
  $("state").textContent = left
    ? `${items.length - left} of ${items.length} sounds are answered. A file with gaps is not accepted in the end, but you may save one as a backup.`
    : `All ${items.length} sounds are answered: save the file and hand it in.`;
}

function nextUnanswered() {
  const order = items.map((_, step) => (kept.at + 1 + step) % items.length);
  return order.find((index) => !isAnswered(items[index]));
}

function go(index) {
  open(index);
  $("play").focus();
}

function csvCell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv() {
  const rows = items.filter(isAnswered).map((item) => {
    const { a, b, preference, informativeness, plays } = answersOf(item);
    return [sheet, kept.rater, item.item, a, b, preference, informativeness, plays];
  });
  return [COLUMNS, ...rows].map((row) => row.map(csvCell).join(",") + "\n").join("");
}

function save() {
  if (!kept.rater) {
    $("rater").focus();
    $("state").textContent = "Please write your initials or a name first, at the top of the page.";
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  const name = kept.rater.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  link.download = `ratings-${sheet}-${name || "rater"}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  $("state").textContent = `Saved as ${link.download}.`;
}

$("play").addEventListener("click", () => {
  if (audio.paused) {
    audio.currentTime = 0;
    audio.play();
  } else {
    audio.pause();
  }
});
audio.addEventListener("play", () => {
  $("play-label").textContent = "Stop";
});
audio.addEventListener("pause", () => {
  $("play-label").textContent = "Play the sound";
});
audio.addEventListener("ended", () => {
  answersOf(current()).plays += 1;
  $("play-label").textContent = "Play it again";
  refresh();
});
audio.addEventListener("timeupdate", () => {
  $("position").value = audio.duration ? audio.currentTime / audio.duration : 0;
});
form.addEventListener("change", ({ target }) => {
  answersOf(current())[target.name] = target.value;
  refresh();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isAnswered(current())) {
    const missing = QUESTIONS.find((name) => !answersOf(current())[name]);
    $("missing").hidden = false;
    (questions.disabled ? $("play") : form.elements[missing][0]).focus();
  } else if (kept.at === items.length - 1) {
    $("save").focus();
  } else {
    go(kept.at + 1);
  }
});
$("back").addEventListener("click", () => go(kept.at - 1));
$("unanswered").addEventListener("click", () => go(nextUnanswered()));
$("save").addEventListener("click", save);
$("rater").addEventListener("input", ({ target }) => {
  kept.rater = target.value.trim();
  keep();
});

$("rater").value = kept.rater;
$("instructions").open = !Object.keys(kept.answers).length;
open(kept.at);
