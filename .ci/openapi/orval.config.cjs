module.exports = {
  shop: { input: "./openapi.json", output: { target: "./typescript/orval/shop.ts", client: "fetch", mode: "split" } },
};
