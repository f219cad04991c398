// The form of a server: shows what applies, and tries a connection without leaving the page.

const form = document.querySelector("#mcpserver_form");

function row(name) {
  return form.querySelector(`.field-${name}`);
}

function show(element, wanted) {
  // What is wrong must be seen, whether it applies or not.
  if (element) element.hidden = !wanted && !element.querySelector(".errorlist, .errors");
}

function value(name) {
  return form.elements[name]?.value ?? "";
}

function match() {
  const login = value("auth_type");
  const command = value("endpoint_url").startsWith("stdio:");
  const secret = !command && (login === "bearer" || login === "api_key");
  for (const name of ["protocol", "auth_type"]) show(row(name), !command);
  show(row("auth_header"), !command && login === "api_key");
  for (const name of ["auth_secret_ref", "clear_secret"]) show(row(name), secret);
  show(document.querySelector("#oauth-group"), !command && login.startsWith("oauth_"));
}

async function test(button) {
  const findings = document.querySelector("#automate-findings");
  button.disabled = true;
  findings.hidden = false;
  findings.setAttribute("aria-busy", "true");
  findings.textContent = findings.dataset.busy;
  try {
    const answer = await fetch(button.formAction, {
      method: "POST",
      body: new FormData(form),
      headers: { "X-Requested-With": "fetch" },
    });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    findings.innerHTML = await answer.text(); // our own template, which escapes
  } catch {
    findings.textContent = findings.dataset.failed;
  }
  findings.removeAttribute("aria-busy");
  button.disabled = false;
  findings.focus();
  findings.scrollIntoView({ block: "nearest" });
}

if (form?.elements.auth_type) {
  match();
  form.addEventListener("change", match);
  form.addEventListener("input", match);
  // A theme may have the button elsewhere than in the form.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-test-connection]");
    if (!button) return;
    event.preventDefault();
    test(button);
  });
}
