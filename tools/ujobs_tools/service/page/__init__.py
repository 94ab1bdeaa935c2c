"""The live page of `ujobs serve`: jobs, executions, things and MQTT messages in a browser, as they change.

`read_model` turns the engine's state into what the page shows, `presence` remembers who is connected and which virtual
boards run in this process, `routes` serves the page, its event stream and its actions. Engine and store do not know
that there is a page. In the browser, `page.js` shows one view at a time, with text set as text only."""
