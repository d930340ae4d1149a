"use strict";
(() => {
  const told = JSON.parse(document.getElementById("told").textContent);
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const up = "#1f9d78", down = "#d9534f";
  const box = document.getElementById("chart");
  const chart = LightweightCharts.createChart(box, {
    autoSize: true,
    // The footer names the maker; the logo would need a style the page's policy does not allow.
    layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily },
    timeScale: { timeVisible: told.seconds < 86400, secondsVisible: false, minBarSpacing: 0.05 },
    rightPriceScale: { borderVisible: false },
    localization: { locale: "en-GB" },
  });
  const dress = () => chart.applyOptions({
    layout: {
      background: { color: colour("--ground") }, textColor: colour("--text"),
      panes: { separatorColor: colour("--line") },
    },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    timeScale: { borderColor: colour("--line") },
  });
  dress();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);

  const prices = chart.addSeries(LightweightCharts.CandlestickSeries, {
    upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false,
    priceFormat: { type: "price", precision: told.places, minMove: Number(`1e-${told.places}`) },
  });
  const volumes = chart.addSeries(LightweightCharts.HistogramSeries, {
    priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false,
  }, 1);
  // A row of one member is a time without a candle: it keeps its place and shows nothing.
  prices.setData(told.rows.map(([time, open, high, low, close]) => open === undefined
    ? { time }
    : { time, open: Number(open), high: Number(high), low: Number(low), close: Number(close) }));
  volumes.setData(told.rows.map(([time, open, , , close, volume]) => open === undefined
    ? { time }
    : { time, value: Number(volume), color: (Number(close) < Number(open) ? down : up) + "99" }));
  chart.panes()[0].setStretchFactor(4);
  chart.panes()[1].setStretchFactor(1);

  // All of it is in sight, however wide the page becomes.
  new ResizeObserver(() => requestAnimationFrame(() => chart.timeScale().fitContent())).observe(box);

  const under = document.getElementById("under");
  const byTime = new Map(told.rows.map(row => [row[0], row]));
  const names = ["open", "high", "low", "close", "volume"];
  const show = row => {
    const at = new Date(row[0] * 1000).toISOString().slice(0, 16).replace("T", " ");
    const parts = row.length === 1 ? ["no candle"] : names.map((name, n) => `${name} ${row[n + 1]}`);
    under.replaceChildren(...[at, ...parts].map(part => {
      const span = document.createElement("span");
      span.textContent = part;
      return span;
    }));
  };
  const last = told.rows[told.rows.length - 1];
  show(last);
  chart.subscribeCrosshairMove(moved => show(byTime.get(moved.time) ?? last));
})();
