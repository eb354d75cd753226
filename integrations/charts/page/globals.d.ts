// What the page finds in its window: the library, and what app.js puts there.

declare const LightweightCharts: typeof import("lightweight-charts");

interface Window {
  liquidator: {
    scene: Scene | undefined;
    chart: import("lightweight-charts").IChartApi | undefined;
    ready: Promise<void>;
    range(): [number, number] | null;
    explain(time: number, price: number): Explained | null;
  };
}
