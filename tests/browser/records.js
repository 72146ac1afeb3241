// Records of the e-commerce pipeline: the same each time, spread over the last day.

const PRODUCTS = [
  ['PROD001', 'Laptop Dell XPS 15', 'Electronics', 1299.99],
  ['PROD002', 'iPhone 15 Pro', 'Electronics', 999.99],
  ['PROD003', 'Sony WH-1000XM5', 'Electronics', 399.99],
  ['PROD004', 'Kindle Paperwhite', 'Electronics', 139.99],
  ['PROD005', 'Nike Air Max', 'Fashion', 129.99],
  ['PROD006', "Levi's 501 Jeans", 'Fashion', 89.99],
  ['PROD007', 'The Great Gatsby Book', 'Books', 14.99],
  ['PROD008', 'Yoga Mat Premium', 'Sports', 49.99],
  ['PROD009', 'Coffee Maker Deluxe', 'Home', 79.99],
  ['PROD010', 'Gaming Chair RGB', 'Furniture', 299.99],
];
const TYPES = ['page_view', 'page_view', 'search', 'add_to_cart', 'remove_from_cart', 'purchase'];
const HOUR_MS = 3_600_000;

/** A day's events: more of them in the evening, fewer at night. */
export function dayOfEvents() {
  const random = sequence(7);
  const events = [];
  for (let hour = 23; hour >= 0; hour -= 1) {
    const count = Math.round(60 + 45 * Math.sin((hour / 24) * 2 * Math.PI) + random() * 20);
    for (let number = 0; number < count; number += 1) {
      const at = Date.now() - hour * HOUR_MS - random() * (hour === 0 ? 60_000 : HOUR_MS / 2);
      events.push(event(`day-${hour}-${number}`, TYPES[Math.floor(random() * TYPES.length)], at, random));
    }
  }
  return events;
}

/** One event, now. */
export function event(id, type = 'page_view', at = Date.now(), random = sequence(1)) {
  const [product, name, category, price] = PRODUCTS[Math.floor(random() ** 1.6 * PRODUCTS.length)];
  const user = `USER${String(1 + Math.floor(random() * 100)).padStart(3, '0')}`;
  const quantity = 1 + Math.floor(random() * 5);
  return {
    event_id: id, event_type: type, timestamp: new Date(at).toISOString(), user_id: user, session_id: `session-${user}`,
    product: { id: product, name, category, price },
    ...(type === 'purchase' ? { quantity, total_amount: Number((quantity * price).toFixed(2)), payment_method: 'credit_card' } : {}),
  };
}

/** Numbers from 0 to 1 that look random and are the same each time. */
function sequence(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
