// Tokens stay in memory: nothing is kept when the page is closed.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: document.body.dataset.openapi,
    dom_id: "#api",
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    tryItOutEnabled: true,
    presets: [SwaggerUIBundle.presets.apis],
    syntaxHighlight: false,
  });
});
