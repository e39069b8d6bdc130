// A purchase with the generated TypeScript client. The arguments are the URL of the shop and an API key.
import assert from "node:assert";
import { checkout, createCategory, createClient, createProduct, getOrder, getProduct, listProducts } from "./hey-api";
import { client } from "./hey-api/client.gen";

async function main(url: string, key: string): Promise<void> {
  // Of the schemes that an operation names, one is enough, and two at once are refused.
  client.setConfig({ baseUrl: url, auth: (scheme) => (scheme.type === "apiKey" ? key : undefined) });
  const category = await createCategory({ body: { name: "Lamps, by TypeScript" }, throwOnError: true });
  const category_id = category.data.id_key;
  const lamp = { name: "Desk lamp", price: 19.99, stock: 3, category_id };
  const product = await createProduct({ body: lamp, throwOnError: true });
  const product_id = product.data.id_key;
  const listed = await listProducts({ query: { category_id: [category_id] }, throwOnError: true });
  assert.deepStrictEqual(listed.data.map((row) => row.id_key), [product_id]);
  const person = { name: "Ada", lastname: "Byron", email: "ada@typescript.example" };
  const buyer = await createClient({ body: person, throwOnError: true });
  const order = {
    client_id: buyer.data.id_key,
    delivery_method: 3,
    payment_type: "card",
    lines: [{ product_id, quantity: 2 }],
  } as const;
  const placed = await checkout({ body: { ...order, lines: [...order.lines] }, throwOnError: true });
  assert.strictEqual(placed.data.total, 39.98);
  const seen = await getOrder({ path: { id_key: placed.data.id_key }, throwOnError: true });
  assert.strictEqual(seen.data.total, placed.data.total);
  const left = await getProduct({ path: { id_key: product_id }, throwOnError: true });
  assert.strictEqual(left.data.stock, 1);
  const refused = await checkout({ body: { ...order, lines: [...order.lines] } });
  assert(refused.error && "code" in refused.error);
  assert.strictEqual(refused.error.code, "insufficient_stock");
}

main(process.argv[2] ?? "", process.argv[3] ?? "").catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
