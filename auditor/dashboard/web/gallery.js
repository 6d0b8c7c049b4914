// Cards of cases. All that data says is set as text, never as markup.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".gallery");
  root.style.setProperty("--card", `${data.width}px`);
  root.classList.toggle("strip", data.strip);
  root.setAttribute("aria-label", data.title);
  const line = (kind, text) => {
    const element = document.createElement("span");
    element.className = kind;
    element.textContent = text;
    return element;
  };
  root.replaceChildren(
    ...data.cards.map((card) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "card";
      button.dataset.row = card.row;
      if (card.current) button.setAttribute("aria-current", "true");
      const picture = document.createElement("span");
      picture.className = "picture";
      const image = document.createElement("img");
      image.loading = "lazy";
      image.decoding = "async";
      image.alt = card.alt;
      image.onerror = () => picture.replaceChildren(line("missing", "image cannot be read"));
      image.src = card.src;
      picture.append(image);
      const told = document.createElement("span");
      told.className = "told";
      told.append(line("title", card.title));
      for (const text of card.lines) told.append(line("line", text));
      if (card.badges.length) {
        const badges = line("badges", "");
        for (const [kind, text] of card.badges) badges.append(line(`badge ${kind}`, text));
        told.append(badges);
      }
      button.append(picture, told);
      button.onclick = () => setTriggerValue("opened", card.row);
      return button;
    }),
  );
  const current = root.querySelector("[aria-current]");
  if (data.strip && current) {
    root.scrollLeft = current.offsetLeft - root.offsetLeft - (root.clientWidth - current.clientWidth) / 2;
  }
}
