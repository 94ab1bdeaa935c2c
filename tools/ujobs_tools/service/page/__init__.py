"""The live page of `ujobs serve`: jobs, executions, things and MQTT messages in a browser, as they change.

`read_model` converts the engine's state to the page's views, `presence` remembers which things are connected and which
virtual boards run in this process, `routes` serves the page, its event streams and its actions. Engine and store do not
depend on the page. In the browser, `page.js` shows one view at a time and never inserts text as HTML."""
