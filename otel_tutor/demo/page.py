"""The tutor's only page: a form to ask a question in a browser."""

from typing import Final

__all__ = ["PAGE"]

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tutor</title>
<style>
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }
  form { display: flex; gap: .5rem; flex-wrap: wrap }
  input { flex: 1 1 20rem }
  input, select, button { font: inherit; padding: .4rem }
  #about, #trace { color: #666; font-size: .85rem } blockquote { color: #444; font-size: .9rem; margin: .5rem 0 }
</style>
<h1>Ask the tutor</h1>
<form>
  <input name="question" aria-label="Question" placeholder="Why do ships float?" maxlength="1000" required autofocus>
  <select name="subject" aria-label="Subject"><option value="">any subject</option></select>
  <button>Ask</button>
</form>
<p id="answer" aria-live="polite"></p>
<p id="about"></p>
<div id="sources"></div>
<p id="trace"></p>
<script>
  const form = document.querySelector("form")
  const show = (id, text) => { document.getElementById(id).textContent = text }
  fetch("subjects").then(response => response.json()).then(({subjects}) => {
    subjects.forEach(name => form.subject.add(new Option(name)))
  })
  form.addEventListener("submit", async event => {
    event.preventDefault()
    const response = await fetch("ask", {
      method: "POST",
      headers: {"content-type": "application/json"},
      body: JSON.stringify({question: form.question.value, subject: form.subject.value || undefined}),
    })
    const reply = await response.json().catch(() => ({error: `The tutor failed with status ${response.status}.`}))
    show("answer", reply.answer ?? reply.error)
    show("about", reply.topic ? `${reply.subject}, ${reply.topic.replaceAll("_", " ")}` : "")
    show("trace", reply.trace_id ? `trace ${reply.trace_id}` : "")
    document.getElementById("sources").replaceChildren(...(reply.sources ?? []).map(source => {
      const quote = document.createElement("blockquote")
      quote.textContent = source.text
      return quote
    }))
  })
</script>
</html>
"""
