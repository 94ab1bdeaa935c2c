// The live page of `ujobs serve`. The part of the address after # names a view. An event stream sends the view's whole
// state after each change, and the view is redrawn from it. Text is never inserted as HTML.

const STATUSES = ["SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "CANCELED", "REMOVED", "IN_PROGRESS", "QUEUED"];
const OVER = ["SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "CANCELED", "REMOVED"];
const ROWS = 100;
const $ = (id) => document.getElementById(id);
const main = $("main");

let hello = {};          // the service's data, sent when the stream opened
let helloAt = 0;         // when it arrived, in milliseconds of performance.now()
let source = null;       // the event stream
let route = {};          // the view named in the address
let state = null;        // its latest state
let limit = ROWS;        // number of rows requested
let forms = [];          // fields of the built-in handlers' documents
let draft = {kind: "", filter: "", showAll: false};  // the user's input in the view

// ---- Elements --------------------------------------------------------------------------------------------------

/** An element. attributes: true sets an empty one, false and null leave one out. children: nodes, text, lists, null. */
function h(tag, attributes, ...children) {
  const svg = tag === "svg" || tag === "rect";
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Update an element's children to match those of a new one, keeping focus, selection and scroll position. */
function morph(old, made) {
  const known = new Map([...old.children].filter((node) => node.id).map((node) => [node.id, node]));
  let at = old.firstChild;
  for (const node of [...made.childNodes]) {
    const same = node.id ? known.get(node.id) : at && !at.id && at.nodeName === node.nodeName ? at : null;
    if (!same || same.nodeName !== node.nodeName) {
      old.insertBefore(node, at);
      continue;
    }
    if (same !== at) old.insertBefore(same, at);
    at = same.nextSibling;
    if (node.nodeType === Node.TEXT_NODE) {
      if (same.data !== node.data) same.data = node.data;
      continue;
    }
    for (const {name} of [...same.attributes]) {
      if (!node.hasAttribute(name) && name !== "open") same.removeAttribute(name);
    }
    for (const {name, value} of node.attributes) {
      if (same.getAttribute(name) !== value && (name !== "value" || node.nodeName !== "INPUT")) same.setAttribute(name, value);
    }
    if (node.nodeName !== "TEXTAREA") morph(same, node);
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

const link = (text, ...path) => h("a", {href: address(...path)}, text);
const address = (...path) => "#/" + path.map((part) => encodeURIComponent(part)).join("/");
const status = (name) => h("span", {class: `status ${name}`}, name.replace("_", " "));
const button = (text, does, values, style) =>
  h("button", {type: "button", class: style, "data-does": does, "data-values": JSON.stringify(values || {})}, text);
const section = (title, ...children) => h("section", {}, title && h("h2", {}, title), ...children);
const head = (title, ...children) => h("div", {class: "head"}, h("h1", {}, title), ...children);

function table(caption, columns, rows, empty) {
  if (!rows.length) return h("p", {class: "faint"}, empty);
  return h("table", {role: "table"}, h("caption", {}, caption),
    h("thead", {}, h("tr", {role: "row"}, columns.map((name) => h("th", {scope: "col", role: "columnheader"}, name)))),
    h("tbody", {}, rows.map(({cells, marked, id}) => h("tr", {role: "row", id, class: marked ? "marked" : null},
      cells.map((cell, index) => h("td", {role: "cell", "data-label": columns[index]}, cell))))));
}

const more = () => state.more && h("p", {}, button("Show more", "more", {}));

// ---- Time, by the service's clock ------------------------------------------------------------------------------

const now = () => hello.now + (performance.now() - helloAt) / 1000 * hello.speed;

function duration(seconds) {
  const left = Math.max(0, Math.round(seconds));
  if (left < 60) return `${left} s`;
  if (left < 3600) return `${Math.floor(left / 60)} min ${left % 60} s`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${Math.floor(left % 3600 / 60)} min`;
  return `${Math.floor(left / 86400)} d ${Math.floor(left % 86400 / 3600)} h`;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB") + "." + String(Math.floor(at % 1 * 10));
const ago = (at) => h("time", {"data-ago": at, title: new Date(at * 1000).toISOString()}, duration(now() - at) + " ago");
const left = (at) => h("span", {"data-left": at}, duration(at - now()));

setInterval(() => {
  for (const each of document.querySelectorAll("[data-ago]")) each.textContent = duration(now() - each.dataset.ago) + " ago";
  for (const each of document.querySelectorAll("[data-left]")) each.textContent = duration(each.dataset.left - now());
}, 1000);

// ---- Pieces of views -------------------------------------------------------------------------------------------

function bar(counts) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const present = STATUSES.filter((name) => counts[name]);
  const said = present.map((name) => `${counts[name]} ${name.replace("_", " ").toLowerCase()}`).join(", ");
  let x = 0;
  return h("svg", {class: "bar", role: "img", viewBox: `0 0 ${total || 1} 1`, preserveAspectRatio: "none",
    "aria-label": said || "no executions"},
  present.map((name) => h("rect", {class: name, x: (x += counts[name]) - counts[name], y: 0, width: counts[name], height: 1})));
}

const legend = (counts) => h("ul", {class: "legend"}, STATUSES.filter((name) => counts[name]).map((name) =>
  h("li", {}, h("span", {class: `status ${name}`}, `${counts[name]} ${name.replace("_", " ")}`))));

const progress = (row) => row.progress && [h("progress", {max: row.progress[1], value: row.progress[0],
  "aria-label": `progress of ${row.jobId} on ${row.thing}`}), h("span", {class: "faint"}, row.progress.join(" / "))];

const timers = (row) => [row.stepDeadline && h("div", {}, "step timer: ", left(row.stepDeadline)),
  row.jobDeadline && h("div", {}, "job timer: ", left(row.jobDeadline))];

function executions(caption, rows, first) {
  const names = {thing: "Thing", jobId: "Job"};
  return h("div", {class: "wide"}, table(caption,
    [names[first], "Status", "Number", "Progress", "Reason", "Timers", "Changed"],
    rows.map((row) => ({cells: [
      link(row[first], "jobs", row.jobId, row.thing, row.number), status(row.status),
      `${row.number}${row.retry ? `, retry ${row.retry}` : ""}${row.attempt ? `, attempt ${row.attempt}` : ""}`,
      progress(row), row.reason, timers(row), ago(row.at)]})), "No executions."));
}

const console_ = (lines) => h("pre", {tabindex: 0, "aria-label": "Console"},
  lines.length ? lines.map((line) => `${clock(line.at)}  ${line.text}\n`) : "Nothing printed yet.");

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const actions = (...made) => hello.readOnly ? null : h("div", {class: "buttons"}, made);

// ---- Views -----------------------------------------------------------------------------------------------------

const VIEWS = {
  jobs: () => [head("Jobs", h("a", {class: "button main", href: "#/new"}, "New job")),
    section(null, h("div", {class: "wide"}, table("The newest jobs first",
      ["Job", "Status", "Executions", "Targets", "Created"], state.jobs.map((job) => ({cells: [
        [link(job.jobId, "jobs", job.jobId), job.description && h("div", {class: "faint"}, job.description)],
        status(job.status), [bar(job.counts), legend(job.counts)],
        job.targets.join(", ") + (job.allTargets > job.targets.length ? ` and ${job.allTargets - job.targets.length} more` : ""),
        ago(job.createdAt)]})), "No jobs yet.")), more())],

  job: () => {
    const {job, counts} = state;
    const about = {jobId: job.jobId};
    const underWay = ["IN_PROGRESS", "SCHEDULED"].includes(job.status);
    return [head(`Job ${job.jobId}`, actions(
      underWay && [button("Cancel…", "ask", {operation: "CancelJob", parameters: about}),
        button("Cancel with force…", "ask", {operation: "CancelJob", parameters: {...about, force: true}})],
      button("Delete…", "ask", {operation: "DeleteJob", parameters: underWay ? {...about, force: true} : about}))),
    section(null, bar(counts), h("ul", {class: "legend"}, h("li", {}, link("All", "jobs", job.jobId)),
      STATUSES.filter((name) => counts[name]).map((name) => h("li", {class: `status ${name}`},
        h("a", {href: `${address("jobs", job.jobId)}?status=${name}`, "aria-current": route.query.status === name ? "true" : null},
          `${counts[name]} ${name.replace("_", " ")}`))))),
    state.reasons.length > 0 && section("Why executions failed", h("div", {class: "wide"}, table("Most frequent first",
      ["Reason", "Status", "How many", "Things"], state.reasons.map((reason) => ({cells: [
        reason.reason || (reason.status === "TIMED_OUT" ? "a timer expired" : "no reason given"), status(reason.status),
        String(reason.count), reason.things.join(", ") + (reason.count > reason.things.length ? ", …" : "")]})), ""))),
    section("Executions", executions(route.query.status ? `Only ${route.query.status}` : "Running and failed executions first",
      state.executions, "thing"), more()),
    h("div", {class: "columns"}, section("Document", h("pre", {tabindex: 0, "aria-label": "Document"}, pretty(state.document))),
      section("About", h("dl", {}, [["Status", status(job.status)], ["Created", ago(job.createdAt)],
        ["Targets", job.targets.map((arn) => arn.split("/").pop()).join(", ")], ["Selection", job.targetSelection],
        ["Time limit", job.timeoutConfig.inProgressTimeoutInMinutes && `${job.timeoutConfig.inProgressTimeoutInMinutes} min`],
        ["Description", job.description], ["Comment", job.comment], ["Reason code", job.reasonCode],
        ["In stages", state.stages.length > 0 && h("ul", {}, state.stages.map((line) => h("li", {}, line)))],
      ].filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))))];
  },

  execution: () => {
    const row = state.execution;
    const about = {jobId: row.jobId, thingName: row.thing};
    const begin = state.history[0].at;
    const details = (entry, before) => Object.entries(entry.statusDetails || {})
      .filter(([name, value]) => (before.statusDetails || {})[name] !== value).map(([name, value]) => `${name}: ${value}`).join("\n");
    return [head(`${row.jobId} on ${row.thing}`, actions(
      row.status === "QUEUED" && button("Cancel…", "ask", {operation: "CancelJobExecution", parameters: about}),
      row.status === "IN_PROGRESS" && button("Cancel with force…", "ask",
        {operation: "CancelJobExecution", parameters: {...about, force: true}}),
      button("Delete…", "ask", {operation: "DeleteJobExecution", parameters: {...about, executionNumber: row.number,
        ...(row.status === "IN_PROGRESS" ? {force: true} : {})}}))),
    h("p", {}, link("Job", "jobs", row.jobId), " · ", link("Thing", "things", row.thing), " · ", link("Wire", "wire", row.thing),
      state.numbers.length > 1 && [" · execution ", state.numbers.map((number) => [
        number === row.number ? h("strong", {}, `${number} `) : link(String(number), "jobs", row.jobId, row.thing, number), " "])]),
    h("div", {class: "columns"}, section("Now", h("dl", {}, [["Status", status(row.status)], ["Progress", progress(row)],
      ["Step timer", row.stepDeadline && [left(row.stepDeadline), " left"]],
      ["Job timer", row.jobDeadline && [left(row.jobDeadline), ` left of ${state.jobTimeout} min`]],
      ["Version", String(row.version)], ["Queued", ago(row.queuedAt)], ["Started", row.startedAt && ago(row.startedAt)],
      ...Object.entries(row.details)].filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
    section("Time line", h("ol", {class: "line"}, state.history.map((entry, index) => h("li", {},
      status(entry.status), ` version ${entry.versionNumber}, by the ${entry.by}`,
      h("div", {class: "faint"}, `${clock(entry.at)} (+${duration(entry.at - begin)})`),
      details(entry, state.history[index - 1] || {}) && h("pre", {}, details(entry, state.history[index - 1] || {}))))))),
    state.console && section("The board's console during this execution", console_(state.console))];
  },

  things: () => [head("Things"), section(null, h("div", {class: "wide"}, table("Sorted by name",
    ["Thing", "Connection", "Current job", "Jobs behind it"], state.things.map((thing) => ({cells: [
      [link(thing.name, "things", thing.name), thing.board && h("div", {class: "faint"}, "virtual board")], connection(thing),
      thing.front && [link(thing.front.jobId, "jobs", thing.front.jobId, thing.name, thing.front.number), " ",
        status(thing.front.status), h("div", {}, progress(thing.front))], String(thing.behind)]})), "No things yet. Create one: ujobs thing create NAME --out FOLDER")), more())],

  thing: () => [head(`Thing ${state.name}`, actions(
    state.power && button("Cut the power…", "ask", {operation: "cut-power", parameters: {thing: state.name}}, "danger"))),
  h("p", {}, link("Wire", "wire", state.name), " · ", h("a", {href: `#/new?thing=${encodeURIComponent(state.name)}`}, "New job")),
  h("div", {class: "columns"}, section("Connection", connection(state), h("ol", {class: "line"}, state.events.map((event) =>
    h("li", {}, event.why ? `disconnected: ${event.why}` : "connected", h("div", {class: "faint"}, clock(event.at)))))),
  state.console && section("Console", console_(state.console))),
  section("Queue", executions("The current job first", state.queue, "jobId")),
  section("Latest executions", executions("The newest first", state.executions, "jobId"), more())],

  wire: () => [head(state.thing ? `Wire of ${state.thing}` : "Wire"),
    section(null, h("form", {class: "row", "data-does": "wire"},
      h("label", {}, "Thing", h("input", {type: "text", id: "wire-thing", list: "names", value: state.thing || "", autocomplete: "off"})),
      state.messages && h("label", {}, "Show only messages with this text", h("input", {type: "text", id: "filter", value: draft.filter})),
      h("div", {class: "buttons"}, h("button", {}, "Show")),
      h("datalist", {id: "names"}, (state.things || []).map((thing) => h("option", {value: thing.name}))))),
    state.messages && section(null, h("div", {class: "wide"}, messages()))],

  new: () => [head("New job"), newJob()],

  trouble: () => [head("Trouble"), section(null, h("p", {}, "Cause a fault and watch how the board recovers."),
    h("form", {}, h("label", {}, "Thing", h("select", {id: "victim"}, state.things.map((thing) => h("option", {}, thing.name))))),
    table("Faults", ["Fault", "Expected reaction of the board"], Object.entries(hello.faults).map(([name, fault]) => ({cells: [
      button(fault.title, "trouble", {fault: name}), fault.expect]})), "No faults."))],
};

const connection = (thing) => thing.connected
  ? [h("span", {class: "status on"}, "connected"), " ", ago(thing.since)]
  : [h("span", {class: "status"}, thing.since ? "not connected" : "not seen yet"),
    thing.since && [" ", ago(thing.since), h("div", {class: "faint"}, thing.why)]];

function messages() {
  const wanted = draft.filter.toLowerCase();
  const shown = state.messages.filter((message) => !wanted || `${message.topic} ${message.payload}`.toLowerCase().includes(wanted));
  return table("The newest first; a request and its reply have the same client token",
    ["Time", "Message", "Payload", "Reply", "Copy"], shown.reverse().map((message) => ({id: `message-${message.serial}`, marked: message.mark, cells: [
      clock(message.at), [message.from ? "→ " : "← ", message.topic, message.mark && h("div", {class: "wrong"}, message.mark)],
      h("details", {}, h("summary", {}, message.payload.slice(0, 80) || "(empty)"), h("pre", {}, pretty(message.payload))),
      message.reply || "", message.from && button("mosquitto_pub", "publish", {topic: message.topic, payload: message.payload}, "small"),
    ]})), "No messages yet.");
}

// ---- Creating a job --------------------------------------------------------------------------------------------

function newJob() {
  const kinds = [["", "Any JSON document"], ...forms.map((form) => [form.operation, `${form.operation}: ${form.about}`]),
    ...state.templates.map((template) => [template.arn, `${template.name}: ${template.about}`])];
  const form = forms.find((each) => each.operation === draft.kind);
  const template = state.templates.find((each) => each.arn === draft.kind);
  const fields = form ? form.fields : template ? template.parameters.map((each) => ({name: each.key, about: each.description +
    (each.optional ? " Optional." : "") + (each.example ? ` Example: ${each.example}` : "")})) : [];
  const text = (id, name, value, list) => h("label", {}, name, h("input", {type: "text", id, value, list, autocomplete: "off"}));
  return section(null, h("form", {"data-does": "create"},
    h("div", {class: "row"}, text("job-id", "Job id", `job-${Math.floor(now()).toString(36)}`),
      text("things", "Things, separated by spaces", route.query.thing || (state.things.length === 1 ? state.things[0] : ""), "thing-names"),
      text("groups", "Thing groups", "", "group-names")),
    h("label", {}, "Kind of job", h("select", {id: "kind"}, kinds.map(([value, name]) =>
      h("option", {value, selected: value === draft.kind}, name)))),
    fields.map((field) => h("label", {}, `${field.name} – ${field.about}`, ["json", "lines"].includes(field.type)
      ? h("textarea", {id: `field-${field.name}`, rows: 3, "data-field": field.name, "data-type": field.type})
      : h("input", {type: "text", id: `field-${field.name}`, "data-field": field.name, autocomplete: "off"}))),
    !template && h("label", {}, "Document", h("textarea", {id: "document", rows: 8, spellcheck: "false", "aria-describedby": "wrong"},
      JSON.stringify(form ? {operation: form.operation} : {operation: ""}, null, 2))),
    h("p", {id: "wrong", class: "wrong", role: "alert"}),
    h("details", {}, h("summary", {}, "More"), h("div", {class: "row"}, text("description", "Description", ""),
      text("timeout", "In-progress timeout in minutes", ""), text("retries", "Retries of failed and timed-out executions", ""),
      h("label", {class: "check"}, h("input", {type: "checkbox", id: "continuous"}), "Also for things that join a group later"))),
    h("div", {class: "buttons"}, h("button", {class: "main", disabled: Boolean(hello.readOnly)}, "Create"),
      button("Copy as AWS CLI or boto3…", "show", {})),
    h("datalist", {id: "thing-names"}, state.things.map((name) => h("option", {value: name}))),
    h("datalist", {id: "group-names"}, state.groups.map((name) => h("option", {value: name})))));
}

/** Fill the document from the fields of a built-in handler. */
async function fillDocument() {
  const made = {operation: draft.kind};
  say("");
  for (const field of document.querySelectorAll("[data-field]")) {
    if (!field.value.trim()) continue;
    if (field.dataset.type === "lines") made[field.dataset.field] = field.value.split("\n").map((line) => line.trim()).filter(Boolean);
    else if (field.dataset.type !== "json") made[field.dataset.field] = field.value;
    else {
      try {
        made[field.dataset.field] = JSON.parse(field.value);
      } catch {
        say(`${field.dataset.field}: ${(await where(field.value)).text}`);
      }
    }
  }
  if ($("document")) $("document").value = JSON.stringify(made, null, 2);
}

const say = (text) => { $("wrong").textContent = text; };

/** The first error in text that is not JSON. The service finds it, because browsers' messages differ. */
async function where(text) {
  const {line, message} = await post("check", {text});
  return {line, text: `line ${line}: ${message}`};
}

/** The parameters of CreateJob, or null if the form shows an error. */
async function jobParameters() {
  const names = (id) => $(id).value.split(/[\s,]+/).filter(Boolean);
  const made = {jobId: $("job-id").value.trim(), targets: [...names("things").map((name) => `${state.arn}thing/${name}`),
    ...names("groups").map((name) => `${state.arn}thinggroup/${name}`)]};
  if (!made.targets.length) return say("Name a thing or a thing group."), null;
  if (draft.kind.startsWith("arn:")) {
    made.jobTemplateArn = draft.kind;
    made.documentParameters = Object.fromEntries([...document.querySelectorAll("[data-field]")]
      .filter((field) => field.value).map((field) => [field.dataset.field, field.value]));
  } else {
    const text = $("document").value;
    try {
      made.document = JSON.stringify(JSON.parse(text));
    } catch {
      const found = await where(text);
      const lines = text.split("\n");
      const start = lines.slice(0, found.line - 1).join("\n").length + (found.line > 1 ? 1 : 0);
      $("document").focus();
      $("document").setSelectionRange(start, start + lines[found.line - 1].length);
      return say(`Document, ${found.text}`), null;
    }
  }
  if ($("description").value) made.description = $("description").value;
  if ($("timeout").value) made.timeoutConfig = {inProgressTimeoutInMinutes: Number($("timeout").value)};
  if ($("retries").value) made.jobExecutionsRetryConfig = {criteriaList: [{failureType: "ALL", numberOfRetries: Number($("retries").value)}]};
  if ($("continuous").checked) made.targetSelection = "CONTINUOUS";
  say("");
  return made;
}

// ---- Actions, and the equivalent commands of AWS's tools ---------------------------------------------------------

const WARNINGS = {
  CancelJob: "Queued executions are canceled; those in progress continue.",
  DeleteJob: "The job is deleted with all its executions and their histories.",
  CancelJobExecution: "The execution is canceled; a board that is running it stops its handler.",
  DeleteJobExecution: "The execution is deleted with its history.",
  "cut-power": "The board's process is killed, as a power cut would. Its flash is kept.",
};
const kebab = (name) => name.replace(/([a-z0-9])([A-Z])/g, "$1-$2").toLowerCase();
const snake = (name) => kebab(name).replaceAll("-", "_");
const shell = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function awsCli(operation, parameters) {
  const options = Object.entries(parameters).map(([name, value]) => {
    if (value === true) return `--${kebab(name)}`;
    if (Array.isArray(value)) return `--${kebab(name)} ${value.map(shell).join(" ")}`;
    return `--${kebab(name)} ${shell(typeof value === "object" ? JSON.stringify(value) : String(value))}`;
  });
  return [`aws iot ${kebab(operation)}`, ...options, `--endpoint-url ${hello.http}`, "--region us-east-1"].join(" \\\n    ");
}

function python(value) {
  if (value === true) return "True";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${python(member)}`).join(", ")}}`;
}

const boto3 = (operation, parameters) => `import boto3\n
iot = boto3.client("iot", endpoint_url="${hello.http}", region_name="us-east-1")
iot.${snake(operation)}(\n${Object.entries(parameters).map(([name, value]) => `    ${name}=${python(value)},\n`).join("")})`;

const publishCommand = ({topic, payload}) => `mosquitto_pub -h 127.0.0.1 -p ${hello.mqtt} -i ${shell(state.thing)} -q 1 \\
    -t ${shell(topic)} -m ${shell(payload)}`;

const copied = (title, text) => [h("h3", {}, title), h("pre", {tabindex: 0, "aria-label": title}, text),
  button(`Copy ${title}`, "copy", {text}, "small")];

function showDialog(title, ...children) {
  $("dialog").replaceChildren(h("h2", {id: "dialog-title"}, title), ...children.flat(9).filter(Boolean));
  $("dialog").showModal();
}

async function post(path, body) {
  const headers = {"Content-Type": "application/json"};
  const password = $("password").querySelector("input").value;
  if (password) headers["X-Ujobs-Password"] = encodeURIComponent(password);
  let reply;
  try {
    reply = await fetch(`/_ujobs/page/${path}`, {method: "POST", headers, body: JSON.stringify(body)});
  } catch {
    throw new Error("The service does not answer.");
  }
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(said.message || `The service answered with status ${reply.status}.`);
  return said;
}

const path = (operation) => operation === "cut-power" ? operation : `do/${operation}`;
const teach = (operation, parameters) => operation === "cut-power" ? []
  : [copied("AWS CLI", awsCli(operation, parameters)), copied("boto3", boto3(operation, parameters))];
const close = () => button("Close", "close", {});

const DOES = {
  more: () => { limit *= 5; listen(); },
  close: () => $("dialog").close(),
  copy: async ({text}, pressed) => {
    try {
      await navigator.clipboard.writeText(text);
      pressed.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(pressed.previousElementSibling);  // Over HTTP only localhost has a clipboard.
    }
  },
  ask: ({operation, parameters}) => showDialog(`${kebab(operation).replaceAll("-", " ")}: ${parameters.jobId || parameters.thing}`,
    h("p", {}, parameters.force && operation === "CancelJob" ? "All executions are canceled, also those in progress." : WARNINGS[operation]),
    teach(operation, parameters), h("p", {class: "wrong", role: "alert", id: "refused"}),
    h("div", {class: "buttons"}, button("Do it", "confirm", {operation, parameters}, "danger"), close())),
  confirm: async ({operation, parameters}) => {
    try {
      await post(path(operation), parameters);
    } catch (error) {
      $("refused").textContent = error.message;
      return;
    }
    $("dialog").close();
    $("notice").textContent = `Done: ${kebab(operation).replaceAll("-", " ")} ${parameters.jobId || parameters.thing}`;
    if (operation === "DeleteJob") location.hash = "#/jobs";
    if (operation === "DeleteJobExecution") location.hash = address("jobs", parameters.jobId);
  },
  show: async () => {
    const parameters = await jobParameters();
    if (parameters) showDialog("The same with AWS's tools", teach("CreateJob", parameters), h("div", {class: "buttons"}, close()));
  },
  create: async () => {
    try {
      const parameters = await jobParameters();
      if (!parameters) return;
      await post("do/CreateJob", parameters);
      location.hash = address("jobs", parameters.jobId);
    } catch (error) {
      say(error.message);
    }
  },
  wire: () => { if ($("wire-thing").value) location.hash = address("wire", $("wire-thing").value.trim()); },
  publish: (message) => showDialog("Publish it again", h("p", {}, "Without TLS a client is the thing that its client id names: " +
    "this connection replaces the board's."), copied("mosquitto_pub", publishCommand(message)), h("div", {class: "buttons"}, close())),
  trouble: async ({fault}) => {
    try {
      await post(`trouble/${fault}`, {thing: $("victim").value});
      $("notice").textContent = `Done: ${hello.faults[fault].title}. ${hello.faults[fault].expect}`;
    } catch (error) {
      $("notice").textContent = error.message;
    }
  },
};

// ---- From the address to the stream to the screen ----------------------------------------------------------------

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }  // an address that was cut short
}

function readRoute() {
  const [at, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = at.split("/").map(decoded);
  const found = {name: view || "jobs", query: Object.fromEntries(new URLSearchParams(query || "")), ask: {view: view || "jobs"}};
  const [first, second, number] = rest;
  if (found.name === "jobs" && second) Object.assign(found, {name: "execution", ask: {view: "execution", job: first, thing: second, number}});
  else if (found.name === "jobs" && first) Object.assign(found, {name: "job", ask: {view: "job", job: first, ...found.query}});
  else if (found.name === "things" && first) Object.assign(found, {name: "thing", ask: {view: "thing", thing: first}});
  else if (found.name === "wire") found.ask = first ? {view: "wire", thing: first} : {view: "things"};
  else if (found.name === "trouble") found.ask = {view: "things"};
  return found;
}

function listen() {
  source?.close();
  source = new EventSource("/_ujobs/page/events?" + new URLSearchParams({...route.ask, limit}));
  source.addEventListener("hello", (event) => {
    hello = JSON.parse(event.data);
    helloAt = performance.now();
    $("link").className = "live";
    $("link").textContent = "Live" + (hello.speed === 1 ? "" : `, clock × ${hello.speed}`);
    $("trouble").hidden = !Object.keys(hello.faults).length;
    $("password").hidden = !hello.password;
    if (hello.readOnly) $("notice").textContent = hello.readOnly;
  });
  source.addEventListener("state", (event) => { state = JSON.parse(event.data); draw(); });
  source.onerror = () => {
    $("link").className = "";
    $("link").textContent = "Not connected to ujobs serve; retrying…";
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  };
}

function draw() {
  const view = VIEWS[route.name];
  const made = state.error || !view ? [head("Not found"), section(null, h("p", {}, state.error || "There is no such view."))] : view();
  const fresh = main.dataset.at !== location.hash;
  if (fresh) main.replaceChildren(...made.flat(9).filter(Boolean));
  else morph(main, h("main", {}, made));
  main.dataset.at = location.hash;
  document.title = `${main.querySelector("h1").textContent} – ujobs`;
}

function go() {
  route = readRoute();
  state = null;
  limit = ROWS;
  draft = {kind: "", filter: ""};
  $("dialog").close();
  if (!hello.readOnly) $("notice").textContent = "";
  for (const each of document.querySelectorAll("nav a")) {
    if (`#/${location.hash.split(/[/?]/)[1] || "jobs"}` === each.getAttribute("href")) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  listen();
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest("button[data-does]");
  if (pressed) DOES[pressed.dataset.does](JSON.parse(pressed.dataset.values), pressed);
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.dataset.does) DOES[event.target.dataset.does]();
});
document.addEventListener("input", (event) => {
  if (event.target.id === "kind") { draft.kind = event.target.value; draw(); if (draft.kind) fillDocument(); }
  if (event.target.dataset.field) fillDocument();
  if (event.target.id === "filter") { draft.filter = event.target.value; draw(); }
});
document.addEventListener("visibilitychange", () => {
  // A browser opens at most six connections to a server, so hidden tabs close theirs.
  if (document.hidden) source?.close();
  else listen();
});
$("skip").addEventListener("click", () => main.focus());
addEventListener("hashchange", () => { go(); main.focus(); });
forms = await (await fetch("/_ujobs/page/forms.json")).json();
go();
