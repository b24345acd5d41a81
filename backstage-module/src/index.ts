/**
 * Tells Stageport of every change in the Backstage catalog.
 *
 * @packageDocumentation
 */
export { catalogModuleStageport as default } from './module';
