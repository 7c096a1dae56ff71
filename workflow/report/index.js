// Values under the pointer, and figures at full size. Everything can be read without it.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("curves").textContent);
  const tip = document.getElementById("tip");
  const large = document.getElementById("large");
  const REACH = 28; // CSS pixels between pointer and point
  const SVG = "http://www.w3.org/2000/svg";
  const ring = document.createElementNS(SVG, "circle");
  ring.setAttribute("class", "point");

  function nearest(figure, x, y, reach) {
    let found = null;
    for (const panel of figure.panels)
      for (const [name, colour, points] of panel.curves)
        for (const point of points) {
          const distance = Math.hypot(point[0] - x, point[1] - y);
          if (distance < reach) {
            reach = distance;
            found = { panel, name, point };
          }
        }
    return found;
  }

  function words({ panel, name, point }) {
    const [, , x, y, lower, upper] = point;
    const interval = lower === undefined ? "" : ` [${lower}, ${upper}]`;
    return `${name ? name + "\n" : ""}${y}${interval}\n${panel.x || "x"}: ${x}`.replaceAll("-", "−");
  }

  function hide() {
    tip.hidden = true;
    ring.remove();
  }

  function show(event) {
    const svg = event.target.closest && event.target.closest("svg[data-figure]");
    if (!svg) return hide();
    const matrix = svg.getScreenCTM();
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const found = nearest(figures[svg.dataset.figure], place.x, place.y, REACH / matrix.a);
    if (!found) return hide();
    tip.textContent = words(found);
    tip.hidden = false;
    ring.setAttribute("cx", found.point[0]);
    ring.setAttribute("cy", found.point[1]);
    ring.setAttribute("r", 6 / matrix.a);
    svg.append(ring);
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 6);
    const top = event.clientY - box.height - 14;
    tip.style.transform = `translate(${Math.max(6, left)}px, ${top > 6 ? top : event.clientY + 18}px)`;
    (svg.closest("dialog") || document.body).append(tip);
  }

  function open(event) {
    const link = event.target.closest("a.zoom");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    hide();
    const id = link.dataset.figure;
    const [width, height] = figures[id].size;
    const svg = link.querySelector("svg").cloneNode(false);
    const use = document.createElementNS(SVG, "use");
    use.setAttribute("href", `#image-${id}`);
    svg.append(use);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    large.lastElementChild.replaceChildren(svg);
    large.showModal();
  }

  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", hide, true);
  document.addEventListener("click", open);
})();
