// What a dashboard of ours is made of, in the types that Grafana publishes of itself, its panels and its Prometheus plugin.

import type { PromOptions, PromQuery } from '@grafana/prometheus';
import type * as core from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts';
import type * as barchart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen.d.ts';
import type * as gauge from '@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen.d.ts';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts';

// Its type leaves open what a data source adds; this is what that of Prometheus reads (`annotationQuery` in @grafana/prometheus).
type Annotation = core.AnnotationQuery & { expr: string; titleFormat: string; tagKeys: string };

// Of an interval to choose from (IntervalVariableModel in @grafana/data); the foundation SDK writes them for every variable.
type Variable = core.VariableModel & { auto?: boolean; auto_min?: string; auto_count?: number };

interface Panel<Options, Custom = Record<string, never>> {
  options: Partial<Options>; // the plugin has a default for each
  custom: Partial<Custom>;
}

export interface Grafana {
  dashboard: Omit<core.Dashboard, 'annotations' | 'templating'> & {
    annotations: { list: Annotation[] };
    templating: { list: Variable[] };
  };
  source: PromOptions;
  target: PromQuery;
  barchart: Panel<barchart.Options, barchart.FieldConfig>;
  gauge: Panel<gauge.Options>;
  stat: Panel<stat.Options>;
  timeseries: Panel<timeseries.Options, timeseries.FieldConfig>;
}
