// Moves every arm's threshold together: which answers of the gallery are given, and coverage and risk on whole sets.
// The rates are not computed here: for each place of the slider the page holds what Python found.
"use strict";
{
  const data = JSON.parse(document.getElementById("threshold-data").textContent);
  const slider = document.getElementById("threshold");
  const rows = [...document.querySelectorAll("#thresholds tr[data-number]")];
  const answers = [...document.querySelectorAll(".said[data-number]")];

  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)}%`);
  const number = (threshold) => (threshold === null ? "above all" : String(Number(threshold.toPrecision(4))));

  const where = (position) => {
    if (position === 0) return "Every arm at its frozen threshold.";
    if (position === data.positions[0]) return "Nothing is answered.";
    if (position === data.positions[1]) return "Everything is answered.";
    return position < 0
      ? `Stricter: each arm withholds ${-position}% of what it answers at its frozen threshold.`
      : `Looser: each arm also answers ${position}% of what it withholds at its frozen threshold.`;
  };

  const show = () => {
    const position = Number(slider.value);
    const place = position - data.positions[0];
    for (const row of rows) {
      const arm = data.arms[row.dataset.number];
      const rates = arm.sets[row.dataset.set];
      row.querySelector(".threshold").textContent = number(arm.thresholds[place]);
      row.querySelector(".coverage").textContent = percent(rates.coverage[place]);
      row.querySelector(".risk").textContent = percent(rates.risk[place]);
      row.querySelector(".share").style.width = percent(rates.coverage[place]);
    }
    const given = { right: 0, partly: 0, wrong: 0, unlabelled: 0 };
    for (const answer of answers) {
      const threshold = data.arms[answer.dataset.number].thresholds[place];
      const gives = threshold !== null && Number(answer.dataset.confidence) >= threshold && !("declined" in answer.dataset);
      answer.querySelector("q").classList.toggle("withheld", !gives);
      answer.querySelector(".badge").hidden = gives;
      given[answer.dataset.verdict] += gives;
    }
    const total = Object.values(given).reduce((a, b) => a + b, 0);
    const kinds = Object.entries(given).filter(([, n]) => n).map(([kind, n]) => `${n} ${kind}`).join(", ");
    const below = answers.length
      ? ` In the gallery, ${total} of ${answers.length} answers are given${kinds && `: ${kinds}`}.`
      : "";
    document.getElementById("threshold-says").textContent = where(position) + below;
    slider.setAttribute("aria-valuetext", where(position));
  };

  slider.addEventListener("input", show);
  document.getElementById("threshold-frozen").addEventListener("click", () => {
    slider.value = 0;
    show();
  });
  document.getElementById("threshold-control").hidden = false;
  show();
}
