/** Tabs after the ARIA pattern; the chosen one stands in the address, so it can be linked. */

/**
 * Bring the tabs of a list to life.
 * @param {HTMLElement} list has role tablist; its tabs name their panels by aria-controls
 * @param {function(string)} onshow told the name of the panel shown
 */
export function bringTabs(list, onshow) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const named = () => tabs.find((tab) => nameOf(tab) === location.hash.slice(1)) ?? tabs[0];
  const show = (chosen) => {
    for (const tab of tabs) mark(tab, tab === chosen);
    onshow(nameOf(chosen));
  };
  const choose = (tab) => {
    history.replaceState(null, "", `#${nameOf(tab)}`);
    show(tab);
    tab.focus();
  };
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab));
  list.addEventListener("keydown", (event) => {
    const next = neighbor(tabs, tabs.indexOf(document.activeElement), event.key);
    if (!next) return;
    event.preventDefault();
    choose(next);
  });
  window.addEventListener("hashchange", () => show(named()));
  show(named());
}

function nameOf(tab) {
  return tab.getAttribute("aria-controls");
}

function mark(tab, chosen) {
  tab.setAttribute("aria-selected", String(chosen));
  tab.tabIndex = chosen ? 0 : -1;
  document.getElementById(nameOf(tab)).hidden = !chosen;
}

function neighbor(tabs, index, key) {
  const last = tabs.length - 1;
  const places = {
    ArrowRight: index === last ? 0 : index + 1,
    ArrowLeft: index === 0 ? last : index - 1,
    Home: 0,
    End: last,
  };
  return tabs[places[key]];
}
