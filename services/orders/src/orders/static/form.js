// The form of an order: what is in it, and what is wrong with it.

import { element, say } from "../dom.js";

export class OrderForm {
  constructor(form) {
    this.form = form;
    this.items = form.querySelector("#items");
    this.problem = form.querySelector("#problem");
    form.querySelector("#add-item").addEventListener("click", () => this.addItem().querySelector("input").focus());
    this.addItem();
  }

  addItem() {
    const row = this.items.querySelector("template").content.cloneNode(true).firstElementChild;
    row.querySelector(".remove").addEventListener("click", () => {
      row.remove();
      this.number();
      this.form.querySelector("#add-item").focus();
    });
    this.items.append(row);
    this.number();
    return row;
  }

  /** Give every input the name by which orders knows the field: items.0.sku. */
  number() {
    const rows = [...this.items.querySelectorAll(".row")];
    rows.forEach((row, i) => {
      for (const input of row.querySelectorAll("input")) input.name = `items.${i}.${input.dataset.name}`;
      const remove = row.querySelector(".remove");
      remove.hidden = rows.length === 1;
      remove.setAttribute("aria-label", `Remove item ${i + 1}`);
    });
  }

  /** The order as it is sent. orders checks it, nobody else: a quantity that is no number goes there as it is. */
  read() {
    const text = (name) => this.form.elements[name].value.trim();
    const items = [...this.items.querySelectorAll(".row")].map((_, i) => {
      const quantity = text(`items.${i}.quantity`);
      return {
        sku: text(`items.${i}.sku`),
        quantity: /^\d{1,15}$/.test(quantity) ? Number(quantity) : quantity,
        unit_price: text(`items.${i}.unit_price`),
      };
    });
    return { customer: { email: text("customer.email") }, currency: text("currency"), items };
  }

  clearProblems() {
    say(this.problem, "");
    for (const input of this.form.querySelectorAll("[aria-invalid]")) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
    for (const note of this.form.querySelectorAll(".wrong")) note.remove();
  }

  /** Show a problem: what orders says of a field beside the field, the rest below the form. */
  showProblem(detail, errors = []) {
    const elsewhere = errors.filter(({ field, problem }) => !this.showAt(field, problem));
    say(this.problem, [detail, ...elsewhere.map(({ field, problem }) => `${field}: ${problem}.`)].join(" "));
    this.form.querySelector("[aria-invalid]")?.focus();
  }

  showAt(field, problem) {
    const input = this.form.elements[field];
    if (!(input instanceof HTMLInputElement)) return false;
    const note = element("span", { class: "wrong", id: `wrong-${field}` }, problem);
    input.closest(".field").append(note);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    return true;
  }
}
